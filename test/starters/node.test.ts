import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { newStarter, root, type Starter } from "./starter.ts";

// It trains for real, on machines that may be slow or busy.
vi.setConfig({ testTimeout: 120_000 });

const run = promisify(execFile);

describe("the starter for Node.js", () => {
  let starter: Starter;
  beforeAll(async () => {
    starter = await newStarter("node");
  });
  afterAll(() => starter.remove());

  test("trains on its text, tells its loss, writes, and leaves a run that the commands take", async () => {
    const main = await readFile(join(starter.folder, "main.js"), "utf8");
    expect(main).toContain("const steps = 400;");
    await writeFile(join(starter.folder, "main.js"), main.replace("const steps = 400;", "const steps = 100;"));
    const { stdout, stderr } = await run(process.execPath, ["main.js"], { cwd: starter.folder });
    expect(stderr).toBe("");
    const [, loss] = /^step 100 of 100: loss (\d\.\d{3}) nats per token on held-out text$/mu.exec(stdout) ?? [];
    // 3.9 is ln 50: names have some fifty different characters.
    expect(Number(loss)).toBeLessThan(2.8);
    const [, written = ""] = /^The model writes:\n\n([\s\S]+)\n\nThe model is in /mu.exec(stdout) ?? [];
    expect(written.length).toBeGreaterThanOrEqual(200);
    const [, command = ""] = /^ {2}npx foretoken (generate \S+) --prompt/mu.exec(stdout) ?? [];
    const program = join(root, "dist/cli/main.js");
    const args = [...command.split(" "), "--prompt", "A", "--max-new-tokens", "5", "--json"];
    const generated = await run(process.execPath, [program, ...args], { cwd: starter.folder });
    expect(JSON.parse(generated.stdout.trim().split("\n").at(-1) ?? "")).toMatchObject({ type: "done", newTokens: 5 });
    expect(await readdir(join(starter.folder, "runs"))).toHaveLength(1);
  });
});
