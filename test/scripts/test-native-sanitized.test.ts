import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "foretoken-sanitized-"));
  for (const name of ["build", "checks"]) mkdirSync(join(folder, "scripts", name), { recursive: true });
  for (const name of [
    "build/common.mjs",
    "build/native.mjs",
    "build/progress.mjs",
    "checks/native-tests.mjs",
    "checks/native-sanitized.mjs",
  ]) {
    copyFileSync(fileURLToPath(new URL(`../../scripts/${name}`, import.meta.url)), join(folder, "scripts", name));
  }
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/**
 * Starts the script with a compiler that fails in the same way as `compile`. The compiled programs behave like
 * `program`.
 */
const run = (compile: string, program: string, env: Record<string, string> = {}) => {
  const compiler = join(folder, "compiler");
  const write = `printf '#!/bin/sh\\n%s\\n' '${program}' > "$last"; chmod +x "$last"`;
  writeFileSync(compiler, `#!/bin/sh\nfor last; do :; done\n${compile}\n${write}\n`);
  chmodSync(compiler, 0o755);
  const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/checks/native-sanitized.mjs"], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? "", CXX: compiler, ...env },
    encoding: "utf8",
  });
  return { status, stdout: stdout.replaceAll(compiler, "CXX"), stderr };
};
const required = { FORETOKEN_REQUIRE_NATIVE: "1" };
const onWindows = process.platform === "win32";

describe.skipIf(onWindows)(`the sanitizers${onWindows ? " (Windows has no native backend)" : ""}`, () => {
  test("run where they work, and what they find is a failure", () => {
    expect(run("", "echo ran")).toEqual({ status: 0, stdout: "address:\nran\n\nthread:\nran\n\n", stderr: "" });
    const found = run("", 'case "$0" in */kernels_test) echo "data race"; exit 66;; esac');
    expect(found).toEqual({ status: 1, stdout: "", stderr: "address:\ndata race\n\nthread:\ndata race\n\n" });
  });

  test("are skipped by name where the compiler lacks them", () => {
    const lacking = 'case "$*" in *sanitize=thread*) echo "cannot find -ltsan"; exit 1;; esac';
    expect(run(lacking, "echo ran", required)).toEqual({
      status: 0,
      stdout: "address:\nran\n\nskipped: thread sanitizer: CXX does not have it: cannot find -ltsan\n",
      stderr: "",
    });
  });

  test("are skipped by name where they cannot start, unless the address sanitizer is required", () => {
    const traced = 'case "$0" in */address/*) echo "==1==LeakSanitizer has encountered a fatal error."; exit 1;; esac';
    const reason =
      "address sanitizer: a program that does nothing fails with it: LeakSanitizer has encountered a fatal error";
    const free = run("", traced);
    expect(free.status).toBe(0);
    expect(free.stdout).toBe(`skipped: ${reason}\nthread:\n\n`);
    expect(run("", traced, required)).toEqual({ ...free, status: 1 });
  });

  test("are skipped where memory happens to lie where the thread sanitizer cannot have it", () => {
    const mapped =
      'case "$0" in */thread/kernels_test) echo "FATAL: ThreadSanitizer: unexpected memory mapping"; exit 66;; esac';
    expect(run("", mapped, required)).toEqual({
      status: 0,
      stdout: "address:\n\nskipped: thread sanitizer: FATAL: ThreadSanitizer: unexpected memory mapping\n",
      stderr: "",
    });
  });
});
