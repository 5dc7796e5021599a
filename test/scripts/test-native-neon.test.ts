import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "foretoken-neon-"));
  for (const name of ["scripts/build", "scripts/checks", "bin"]) mkdirSync(join(folder, name), { recursive: true });
  const copied = ["build/common.mjs", "build/native.mjs", "build/progress.mjs"];
  for (const name of [...copied, "checks/native-tests.mjs", "checks/native-neon.mjs"]) {
    copyFileSync(fileURLToPath(new URL(`../../scripts/${name}`, import.meta.url)), join(folder, "scripts", name));
  }
  symlinkSync("/bin/sh", join(folder, "bin/sh"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const program = (name: string, body: string): void => {
  writeFileSync(join(folder, "bin", name), `#!/bin/sh\n${body}\n`);
  chmodSync(join(folder, "bin", name), 0o755);
};
/** Starts the script with a PATH that contains only the programs in `program`. */
const run = (env: Record<string, string> = {}) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/checks/native-neon.mjs"], {
    cwd: folder,
    env: { PATH: join(folder, "bin"), ...env },
    encoding: "utf8",
  });
  return { status, stdout, stderr };
};
const required = { FORETOKEN_REQUIRE_NEON: "1" };
const elsewhere = process.platform === "win32" || process.arch === "arm64";

describe.skipIf(elsewhere)(`NEON in an emulator${elsewhere ? " (not on Windows, nor on Arm itself)" : ""}`, () => {
  test("is skipped by name where a program is missing, unless it is required", () => {
    expect(run()).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^skipped: .*aarch64-linux-gnu-g\+\+: .*ENOENT/),
    });
    expect(run(required).status).toBe(1);
    program("aarch64-linux-gnu-g++", "exit 0");
    expect(run()).toMatchObject({ status: 0, stdout: expect.stringMatching(/^skipped: .*qemu-aarch64: .*ENOENT/) });
    expect(run(required).status).toBe(1);
  });

  test("runs what was built, and fails where that fails", () => {
    program("aarch64-linux-gnu-g++", "exit 0");
    program("qemu-aarch64", 'echo "0 failures in $1"');
    expect(run(required)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^0 failures in \S+kernels_test\n\n$/),
      stderr: "",
    });
    program("qemu-aarch64", 'case "$1" in --version) exit 0;; esac; echo "1 failures"; exit 1');
    expect(run()).toMatchObject({ status: 1, stdout: "", stderr: "1 failures\n\n" });
    program("aarch64-linux-gnu-g++", 'case "$1" in --version) exit 0;; esac; echo "a warning"; exit 1');
    expect(run()).toMatchObject({ status: 1, stdout: "", stderr: "a warning\n\n" });
  });
});
