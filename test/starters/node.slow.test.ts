import { execFile, spawn } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { cli, jsonLines } from "../cli/cli.ts";
import { type Outcome, outcomeOf } from "../outcome-of.ts";
import { newStarter, type Starter } from "./starter.ts";

// The test trains a model, and the machine may be slow or busy, so the time limit is long.
vi.setConfig({ testTimeout: 120_000 });

const run = promisify(execFile);

/** The starter's program in `path`. The program has another number of steps, and a smaller model that trains faster. */
const setSteps = async (path: string, steps: number, evalInterval = steps): Promise<void> => {
  const main = await readFile(path, "utf8");
  const change = [
    /^const config = .*;$/mu,
    `const config = { model: { nEmbd: 48, contextLength: 16 }, train: { steps: ${steps}, evalInterval: ${evalInterval} } };`,
  ] as const;
  expect(main).toMatch(change[0]);
  await writeFile(path, main.replace(...change));
};

test("the starter for Node.js checks its types, trains, tells its loss, writes, and leaves a run for the commands", async () => {
  const { folder, remove } = await newStarter("node");
  try {
    await setSteps(join(folder, "main.ts"), 100);
    const { scripts } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    expect(scripts.start).toBe("tsc && node dist/main.js");
    await run(process.execPath, ["node_modules/typescript/bin/tsc"], { cwd: folder });
    const { stdout, stderr } = await run(process.execPath, ["dist/main.js"], { cwd: folder });
    expect(stderr).toBe("");
    const [, loss] = /^step 100 of 100: loss (\d\.\d{3}) nats per token on held-out text$/mu.exec(stdout) ?? [];
    // The names have about fifty different characters, and ln 50 is 3.9.
    expect(Number(loss)).toBeLessThan(2.8);
    const [, written = ""] = /^The model writes:\n\n([\s\S]+)\n\nThe model is in /mu.exec(stdout) ?? [];
    expect(written.length).toBeGreaterThanOrEqual(200);
    const [, command = ""] = /^ {2}npx foretoken (generate \S+) --prompt/mu.exec(stdout) ?? [];
    const args = [...command.split(" "), "--prompt", "A", "--max-new-tokens", "5", "--json"];
    const generated = await cli(args, { cwd: folder });
    expect(JSON.parse(generated.stdout.trim().split("\n").at(-1) ?? "")).toMatchObject({ type: "done", newTokens: 5 });
    expect(await readdir(join(folder, "runs"))).toHaveLength(1);
  } finally {
    await remove();
  }
});

describe("the starter for Node.js in JavaScript", () => {
  let starter: Starter;
  beforeAll(async () => {
    starter = await newStarter("node", { js: true });
  });
  afterAll(() => starter.remove());

  /** Executes the starter's program. */
  const startOn = (args: readonly string[]): Promise<Outcome> =>
    outcomeOf(
      spawn(process.execPath, ["main.js", ...args], { cwd: starter.folder, stdio: ["ignore", "pipe", "pipe"] }),
    );
  const setStepsTo = (steps: number, evalInterval?: number): Promise<void> =>
    setSteps(join(starter.folder, "main.js"), steps, evalInterval);

  test.each([
    ["a beginning with unknown characters", ["naïve ☃☃", "ï", "☃"], "nave "],
    ["no beginning", [], " "],
  ] as const)(
    "on a text without a line end, with %s, it says what is left out, and writes",
    async (_, given, begun) => {
      await setStepsTo(1);
      await writeFile(join(starter.folder, "line.txt"), " a naive cat sat on a mat".repeat(100));
      const [prompt, ...unknown] = given;
      const { status, stdout, stderr } = await startOn(["line.txt", ...(prompt === undefined ? [] : [prompt])]);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      const names = (unknown.length > 0 ? unknown : ["\n"]).map((character) => JSON.stringify(character)).join(", ");
      expect(stdout).toContain(
        `\nThe model does not know ${names}: the prompt is used without these characters.\n\nThe model writes:\n\n${begun}`,
      );
      expect(stdout).toMatch(
        new RegExp(`\n\nThe model is in runs/\\S+\\. Next:\n\n {2}npx .* --prompt '${begun}'\n$`, "u"),
      );
    },
  );

  test("saves on Ctrl-C, and names the command that goes on", async () => {
    await setStepsTo(100_000, 10);
    const child = spawn(process.execPath, ["main.js"], { cwd: starter.folder, stdio: ["ignore", "pipe", "pipe"] });
    const ended = outcomeOf(child);
    child.stdout.on("data", (text: Buffer) => {
      if (text.includes("step 10 of")) child.kill("SIGINT");
    });
    const { status, stdout, stderr } = await ended;
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const [, folder = ""] =
      /^Saved in (\S+)\. To resume:\n\n {2}npx foretoken train --resume \1\n$/mu.exec(stdout) ?? [];
    const [saved] = jsonLines((await cli(["runs", folder, "--json"], { cwd: starter.folder })).stdout);
    const step = Number(saved?.step);
    const going = await cli(["train", "--resume", folder, "--stop-at", String(step + 1)], { cwd: starter.folder });
    expect(going.stdout).toContain(`resumes at step ${step.toLocaleString("en-US")}`);
  });

  test("says in one line what is wrong with a text", async () => {
    await writeFile(join(starter.folder, "empty.txt"), "");
    const names = ["empty.txt", "nowhere.txt"];
    expect(await Promise.all(names.map((name) => startOn([name])))).toEqual(
      names.map((name) => ({
        status: 2,
        stdout: "",
        stderr: expect.stringMatching(new RegExp(`^${name}: the file must [^\n]+\n$`, "u")),
      })),
    );
  });
});
