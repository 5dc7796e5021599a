import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, test, vi } from "vitest";
import { cli, onWindows, shell, text, tiny, tinyWith, tree, workplace } from "../cli.ts";
import { mistakes } from "./mistakes.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;

const inside = (...parts: string[]): string => join(cwd, ...parts);

/** A copy of the trained run with one fault, in the last weights and in the best weights. */
const damaged = (name: string, damage: (checkpoint: string) => void): void => {
  cpSync(inside("run"), inside(name), { recursive: true });
  unchecked(inside(name, "checkpoint"), damage);
  unchecked(inside(name, "best"), damage);
};

/** Damages a checkpoint without a manifest. So only a check of the files themselves can find the damage. */
const unchecked = (checkpoint: string, damage: (checkpoint: string) => void): void => {
  rmSync(join(checkpoint, "manifest.json"));
  damage(checkpoint);
};

const editJson = (path: string, edit: (json: Record<string, unknown>) => void): void => {
  const json = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  edit(json);
  writeFileSync(path, JSON.stringify(json));
};

/** Rewrites the header of a safetensors file and keeps its data. */
const editHeader = (path: string, edit: (header: string) => string): void => {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = Buffer.from(edit(bytes.subarray(8, 8 + length).toString("utf8")));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(path, Buffer.concat([size, header, bytes.subarray(8 + length)]));
};

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  writeFileSync(inside("empty.txt"), "");
  writeFileSync(inside("binary.txt"), Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 3, 0, 0]));
  writeFileSync(inside("latin1.txt"), Buffer.from("good\nbad \xe9 x", "latin1"));
  writeFileSync(inside("letter.docx"), Buffer.from("PK\x03\x04\x14\0\x08\0", "latin1"));
  writeFileSync(inside("short.txt"), "abcabcabc");
  writeFileSync(inside("one.txt"), "a");
  writeFileSync(inside("other.txt"), `${text.slice(0, 100)}\nThe q.\n`.repeat(3));
  writeFileSync(inside("late.txt"), `${"The cat sat on a mat.\n".repeat(192)}q\n`);
  writeFileSync(inside("broken.json"), '{ "train": { "steps": 5 ');
  writeFileSync(inside("unknown-key.json"), '{ "train": { "stepz": 5 } }');
  writeFileSync(inside("unknown-part.json"), '{ "trian": {} }');
  writeFileSync(inside("nonsense.json"), '{ "train": { "learningRate": "fast" } }');
  writeFileSync(
    inside("other-kind.json"),
    '{ "model": { "position": { "scaling": { "kind": "linear", "factor": 2, "lowFrequency": 1 } } } }',
  );
  const made = await cli(["train", ...tiny, "--out", "run"], { cwd });
  expect(made.stderr).toBe("");
  // Each test gets its own copy, because a run cannot be resumed while another test uses its folder.
  for (const name of ["finished", "ended"]) cpSync(inside("run"), inside(name), { recursive: true });
  expect((await cli(["train", ...tiny, "--out", "half", "--stop-at", "3"], { cwd })).status).toBe(0);
  cpSync(inside("half"), inside("half-of-changed-text"), { recursive: true });
  editJson(inside("half-of-changed-text", "run.json"), (json) => {
    (json.data as Record<string, unknown>).data = "other.txt";
  });
  writeFileSync(inside("late-bytes.txt"), Buffer.concat([Buffer.from("The cat.\n"), Buffer.from([0xff, 0x0a])]));
  mkdirSync(inside("images"));
  writeFileSync(inside("images", "a.png"), Buffer.from([1, 0, 2]));
  mkdirSync(inside("full"));
  writeFileSync(inside("full", "notes.txt"), "notes");
  const spoilt = (name: string, damage: (checkpoint: string) => void): void => {
    cpSync(inside("half"), inside(name), { recursive: true });
    unchecked(inside(name, "checkpoint"), damage);
  };
  spoilt("no-moments", (at) => rmSync(join(at, "optimizer.safetensors")));
  spoilt("cut-moments", (at) => truncateSync(join(at, "optimizer.safetensors"), 900));
  spoilt("wrong-moments", (at) =>
    editHeader(join(at, "optimizer.safetensors"), (h) => h.replace('"shape":[8,8]', '"shape":[4,16]')),
  );
  spoilt("no-state", (at) => rmSync(join(at, "trainer_state.json")));
  spoilt("cut-state", (at) => truncateSync(join(at, "trainer_state.json"), 40));
  spoilt("negative-state", (at) =>
    editJson(join(at, "trainer_state.json"), (json) => Object.assign(json.progress as object, { step: -1 })),
  );
  for (const name of ["no-description", "locked-by-a-folder"])
    cpSync(inside("half"), inside(name), { recursive: true });
  rmSync(inside("no-description", "run.json"));
  mkdirSync(inside("locked-by-a-folder", ".lock"));
  damaged("no-checkpoint", (at) => rmSync(at, { recursive: true }));
  damaged("newer-config", (at) =>
    editJson(join(at, "config.json"), (json) => {
      json.foretoken = { formatVersion: 99, another: "thing" };
    }),
  );
  cpSync(inside("half"), inside("newer-run"), { recursive: true });
  editJson(inside("newer-run", "run.json"), (json) => Object.assign(json, { formatVersion: 99, another: "thing" }));
  cpSync(inside("half"), inside("newer-state"), { recursive: true });
  unchecked(inside("newer-state", "checkpoint"), (at) =>
    editJson(join(at, "trainer_state.json"), (json) => Object.assign(json, { formatVersion: 99, another: "thing" })),
  );
  cpSync(inside("half"), inside("another-model"), { recursive: true });
  unchecked(inside("another-model", "checkpoint"), (at) =>
    editJson(join(at, "config.json"), (json) => {
      const { model } = json.foretoken as { model: Record<string, unknown> };
      model.dropout = 0.25;
      Object.assign(json, { resid_pdrop: 0.25, attention_dropout: 0.25 });
    }),
  );
  for (const name of ["runs/a", "runs/b", "alone/run"]) cpSync(inside("run"), inside(name), { recursive: true });
  mkdirSync(inside("alone/other"));
  writeFileSync(inside("alone/other/config.json"), "{}");
  damaged("no-weights", (at) => rmSync(join(at, "model.safetensors")));
  damaged("no-tokenizer", (at) => rmSync(join(at, "tokenizer.json")));
  damaged("cut-weights", (at) => truncateSync(join(at, "model.safetensors"), 900));
  damaged("cut-config", (at) => truncateSync(join(at, "config.json"), 40));
  damaged("wrong-shape", (at) =>
    editHeader(join(at, "model.safetensors"), (h) => h.replace('"shape":[8,8]', '"shape":[4,16]')),
  );
  damaged("forged-header", (at) => {
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(2n ** 40n);
    const path = join(at, "model.safetensors");
    writeFileSync(path, Buffer.concat([size, readFileSync(path).subarray(8)]));
  });
  damaged("forged-offsets", (at) =>
    editHeader(join(at, "model.safetensors"), (h) =>
      h.replace(/"data_offsets":\[\d+,\d+\]/u, '"data_offsets":[0,99999999]'),
    ),
  );
});

afterAll(() => remove());

/** Every file with a hash of its contents. A mistake must not change the files and hashes. */
const contents = (): string[] =>
  tree(cwd).map((path) => {
    try {
      return `${path} ${createHash("sha256")
        .update(readFileSync(inside(path)))
        .digest("hex")}`;
    } catch {
      return path;
    }
  });

describe.each(Object.entries(mistakes))("%s", (_, cases) => {
  let before: string[];
  beforeAll(() => {
    before = contents();
  });

  it.each(cases)("$name: one line that says what is wrong", async ({ args, says }) => {
    const { status, stdout, stderr } = await cli(args, { cwd });
    expect({ status, silent: stdout === "", lines: stderr.split("\n").length - 1 }, stderr).toEqual({
      status: 2,
      silent: true,
      lines: 1,
    });
    expect(stderr).toMatch(/^foretoken: /u);
    for (const words of says) expect(stderr).toContain(words);
  });

  afterAll(() => {
    expect(contents()).toEqual(before);
  });
});

describe("with --json", () => {
  it.each([
    ["train", ["train", ...tinyWith("--data", "nowhere.txt"), "--json"], "nowhere.txt"],
    ["generate", ["generate", "no-weights", "--json"], "model.safetensors"],
    ["evaluate", ["evaluate", "run", "--data", "late.txt", "--json"], "late.txt"],
  ] as const)("%s tells a mistake on standard error, and nothing on standard output", async (_, args, words) => {
    const { status, stdout, stderr } = await cli(args, { cwd });
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^foretoken: [^\n]*\n$/u);
    expect(stderr).toContain(words);
  });
});

test("--verbose adds the stack", async () => {
  const { status, stderr } = await cli(["train", "--steps", "0", "--verbose"], { cwd });
  expect(status).toBe(2);
  expect(stderr).toMatch(/\n {4}at /u);
});

describe.skipIf(onWindows)("the command of an error", () => {
  const commandFor = async (args: readonly string[], pattern: RegExp): Promise<string> => {
    const { stderr } = await cli(args, { cwd });
    return pattern.exec(stderr)?.[1] ?? stderr;
  };

  test("takes characters out that a model does not know, and nothing else", async () => {
    writeFileSync(inside("few.txt"), text.replaceAll("The", "T*h[/ée"));
    const command = await commandFor(
      ["train", ...tinyWith("--data", "few.txt"), "--init-from", "run"],
      /without these characters \((.*)\), or/u,
    );
    await shell(command.replace("FILE", "few.txt").replace("NEW", "known.txt"), cwd);
    expect(readFileSync(inside("known.txt"), "utf8")).toBe(text);
  });

  test("makes Latin-1 UTF-8", async () => {
    const command = await commandFor(["train", "--data", "latin1.txt"], /as UTF-8: (.*)\n/u);
    await shell(command, cwd);
    expect(readFileSync(inside("utf8.txt"), "utf8")).toBe("good\nbad é x");
  });
});
