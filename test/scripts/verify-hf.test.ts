import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const script = fileURLToPath(new URL("../../scripts/checks/verify-hf.py", import.meta.url));

/** Starts Python without its packages (-S), because the script checks its arguments before it loads packages. */
const python = (args: readonly string[]) =>
  spawnSync("python3", ["-S", ...args], { encoding: "utf8", timeout: 60_000 });
const hasPython = python(["--version"]).status === 0;

describe.skipIf(!hasPython)(`verify-hf.py${hasPython ? "" : " (there is no python3 here)"}`, () => {
  it("shows how it is called", () => {
    const helped = python([script, "--help"]);
    expect(helped).toMatchObject({ status: 0, stderr: "" });
    expect(helped.stdout).toContain("python scripts/checks/verify-hf.py runs/NAME  ");
  });

  it("refuses another folder in one line", () => {
    const { status, stderr } = python([script, tmpdir()]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^verify-hf: the path must be a run or a model's directory; got no config\.json in .*\n$/u);
  });

  it("takes the best weights of a run, and a checkpoint as it is", () => {
    const run = fileURLToPath(new URL("../fixtures/run-a9ede5f/run", import.meta.url));
    const find = `import runpy, sys; print(runpy.run_path(sys.argv[1])["find_checkpoint"](sys.argv[2]))`;
    expect(python(["-c", find, script, run]).stdout.trim()).toBe(join(run, "best"));
    expect(python(["-c", find, script, join(run, "checkpoint")]).stdout.trim()).toBe(join(run, "checkpoint"));
  });
});
