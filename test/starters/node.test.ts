import { execFile, spawn } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Outcome, outcomeOf } from "../outcome-of.ts";
import { newStarter, root, type Starter } from "./starter.ts";

// It trains for real, on machines that may be slow or busy.
vi.setConfig({ testTimeout: 120_000 });

const run = promisify(execFile);

/** Runs the program of `starter`. */
const startOn = (starter: Starter, args: readonly string[]): Promise<Outcome> =>
  outcomeOf(spawn(process.execPath, ["main.js", ...args], { cwd: starter.folder, stdio: ["ignore", "pipe", "pipe"] }));

const setSteps = async ({ folder }: Starter, from: number, to: number): Promise<void> => {
  const main = await readFile(join(folder, "main.js"), "utf8");
  expect(main).toContain(`const steps = ${from};`);
  await writeFile(join(folder, "main.js"), main.replace(`const steps = ${from};`, `const steps = ${to};`));
};

describe("the starter for Node.js", () => {
  let starter: Starter;
  beforeAll(async () => {
    starter = await newStarter("node");
  });
  afterAll(() => starter.remove());

  test("trains on its text, tells its loss, writes, and leaves a run that the commands take", async () => {
    await setSteps(starter, 400, 100);
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

  test.each([
    ["a beginning with unknown characters", ["naïve ☃☃", "ï", "☃"], "nave "],
    ["no beginning", [], " "],
  ] as const)(
    "on a text without a line end, with %s, it says what is left out, and writes",
    async (_, given, begun) => {
      await setSteps(starter, 100, 1);
      await writeFile(join(starter.folder, "line.txt"), " a naive cat sat on a mat".repeat(100));
      const [prompt, ...unknown] = given;
      const { status, stdout, stderr } = await startOn(starter, [
        "line.txt",
        ...(prompt === undefined ? [] : [prompt]),
      ]);
      await setSteps(starter, 1, 100);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      const names = (unknown.length > 0 ? unknown : ["\n"]).map((character) => JSON.stringify(character)).join(", ");
      expect(stdout).toContain(`\nThe model never saw ${names}: it begins without.\n\nThe model writes:\n\n${begun}`);
      expect(stdout).toMatch(
        new RegExp(`\n\nThe model is in runs/\\S+\\. Next:\n\n {2}npx .* --prompt "${begun}"\n$`, "u"),
      );
    },
  );

  test("saves on Ctrl-C, and names the command that goes on", async () => {
    await setSteps(starter, 100, 100_000);
    const child = spawn(process.execPath, ["main.js"], { cwd: starter.folder, stdio: ["ignore", "pipe", "pipe"] });
    const ended = outcomeOf(child);
    child.stdout.on("data", (text: Buffer) => {
      if (text.includes("step 100 of")) child.kill("SIGINT");
    });
    const { status, stdout, stderr } = await ended;
    await setSteps(starter, 100_000, 100);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const [, folder = ""] =
      /^Saved in (\S+)\. To go on:\n\n {2}npx foretoken train --resume \1\n$/mu.exec(stdout) ?? [];
    const program = join(root, "dist/cli/main.js");
    const args = ["train", "--resume", folder, "--stop-at", "150"];
    const going = await run(process.execPath, [program, ...args], { cwd: starter.folder });
    expect(going.stdout).toMatch(/on from step 1\d\d/u);
  });

  test("says in one line what is wrong with a text", async () => {
    await writeFile(join(starter.folder, "empty.txt"), "");
    for (const name of ["empty.txt", "nowhere.txt"]) {
      expect(await startOn(starter, [name])).toEqual({
        status: 2,
        stdout: "",
        stderr: expect.stringMatching(new RegExp(`^${name}: the file must [^\n]+\n$`, "u")),
      });
    }
  });
});
