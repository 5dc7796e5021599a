import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cli, jsonLines, onWindows, text, tinyWith, workplace } from "./cli.ts";

let cwd: string;
let remove: () => Promise<void>;
const inside = (...parts: string[]): string => join(cwd, ...parts);
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
});
afterAll(() => remove());

/** `tiny` with the current folder as its text. */
const onFolder = ["train", ...tinyWith("--data", ".")];
const hashOf = (run: string): string =>
  (JSON.parse(readFileSync(join(run, "run.json"), "utf8")) as { data: { sha256: string } }).data.sha256;

describe("training on a folder that its runs lie in", () => {
  it("goes on, is measured and is repeated on the same text", async () => {
    const notes = inside("notes");
    mkdirSync(join(notes, "more"), { recursive: true });
    writeFileSync(join(notes, "a.txt"), text);
    writeFileSync(join(notes, "more", "b.txt"), text);

    const first = await cli([...onFolder, "--out", "runs/x", "--stop-at", "3"], { cwd: notes });
    expect(first, first.stderr).toMatchObject({ status: 0, stderr: "" });
    const resumed = await cli(["train", "--resume", "runs/x", "--backend", "reference"], { cwd: notes });
    expect(resumed, resumed.stderr).toMatchObject({ status: 0 });
    expect(resumed.stderr).toContain("skipped 1 run, runs/x");
    const measured = await cli(["evaluate", "runs/x", "--backend", "reference", "--json"], { cwd: notes });
    expect(measured, measured.stderr).toMatchObject({ status: 0 });
    expect(jsonLines(measured.stdout)).toHaveLength(1);
    const second = await cli([...onFolder, "--out", "runs/y"], { cwd: notes });
    expect(second, second.stderr).toMatchObject({ status: 0 });
    expect(second.stderr).toContain("skipped 1 run, runs/x");
    expect(hashOf(join(notes, "runs/y"))).toBe(hashOf(join(notes, "runs/x")));

    // A run is not text. If the value of `--data` is a run, the error says so.
    for (const data of ["runs/x", "runs/x/checkpoint"]) {
      const refused = await cli(["train", ...tinyWith("--data", data), "--out", "runs/z"], { cwd: notes });
      expect(refused.status).toBe(2);
      expect(refused.stderr).toMatch(
        /^foretoken: runs\/x[^\n]*: the folder must hold texts; got a \w+ of foretoken; try [^\n]*\n$/u,
      );
    }
  });
});

describe("a file that the user names", () => {
  const refusal = async (args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await cli(args, { cwd });
    expect({ status, stdout }, stderr).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^foretoken: [^\n]{1,300}\n$/u);
    return stderr;
  };
  const training = (...args: string[]): string[] => ["train", ...tinyWith(...args)];

  it.skipIf(onWindows)("is not waited for or read where it is no file", async () => {
    execFileSync("mkfifo", [inside("pipe")]);
    mkdirSync(inside("folder"));
    expect(await refusal(training("--config", "/dev/zero"))).toContain(
      "the path must be a regular file; got something else",
    );
    expect(await refusal(training("--config", "pipe"))).toContain(
      "the path must be a regular file; got something else",
    );
    expect(await refusal(training("--config", "folder"))).toContain("the path must be a regular file; got a folder");
    expect(await refusal(training("--data", "pipe"))).toContain(
      "pipe: the path must be a file or a folder; got something else",
    );
    expect(await refusal(training("--val-data", "/dev/zero"))).toContain(
      "/dev/zero: the path must be a file or a folder",
    );
  });

  it.skipIf(onWindows)("may be a link", async () => {
    writeFileSync(inside("config.json"), '{"train":{"steps":0}}');
    symlinkSync("config.json", inside("link.json"));
    expect(await refusal(["train", "--data", "text.txt", "--config", "link.json"])).toContain(
      "link.json: train.steps: must be above 0; got 0",
    );
  });

  it.each([
    ["far too long", " ".repeat(2 ** 20 + 1), "the file must be at most 1048576 bytes; got 1048577 bytes"],
    ["far too deep", '{"model":'.repeat(100_000), "lists and objects in the file must be nested at most 64 deep"],
    ["__proto__", '{"model":{"__proto__":{"nLayer":2}}}', 'every key must be a known one; got "__proto__"'],
    ["an unknown key of 1 MB", `{"${"k".repeat(1_000_000)}":1}`, 'every key must be a known one; got "kkk'],
    [
      "a key twice",
      '{"train":{"steps":1,"steps":2}}',
      'every key of an object in the file must be unique; got "steps" twice',
    ],
    [
      "a value of 1 MB",
      `{"model":{"mask":"${"k".repeat(1_000_000)}"}}`,
      'model.mask: must be causal or none; got "kkk',
    ],
  ])("is refused as a configuration that is %s", async (name, contents, expected) => {
    const file = `${name.replaceAll(" ", "-")}.json`;
    writeFileSync(inside(file), contents);
    expect(await refusal(training("--config", file))).toContain(expected);
  });

  it("is refused as a run with a deep description", async () => {
    mkdirSync(inside("forged", "checkpoint"), { recursive: true });
    writeFileSync(inside("forged", "run.json"), "[".repeat(90_000));
    cpSync(inside("text.txt"), inside("forged", "checkpoint", "config.json"));
    expect(await refusal(["train", "--resume", "forged"])).toContain(
      "run.json: lists and objects in the file must be nested",
    );
  });
});
