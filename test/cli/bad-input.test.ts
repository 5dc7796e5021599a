import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, test, vi } from "vitest";
import { cli, onWindows, shell, text, tiny, tinyWith, tree, workplace } from "./cli.ts";

// Far more than any takes, for machines that are slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;

const inside = (...parts: string[]): string => join(cwd, ...parts);

/** A copy of the trained run with one thing wrong in it, in the last weights as well as in the best. */
const damaged = (name: string, damage: (checkpoint: string) => void): void => {
  cpSync(inside("run"), inside(name), { recursive: true });
  unchecked(inside(name, "checkpoint"), damage);
  unchecked(inside(name, "best"), damage);
};

/** Damages a checkpoint without a manifest, so that the damage must be found in the files themselves. */
const unchecked = (checkpoint: string, damage: (checkpoint: string) => void): void => {
  rmSync(join(checkpoint, "manifest.json"));
  damage(checkpoint);
};

const editJson = (path: string, edit: (json: Record<string, unknown>) => void): void => {
  const json = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  edit(json);
  writeFileSync(path, JSON.stringify(json));
};

/** Rewrites the header of a safetensors file, keeping its data. */
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

/** Every file with a hash of its contents: equal before and after a mistake. */
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

interface Mistake {
  readonly name: string;
  readonly args: readonly string[];
  /** All of these are in the message. */
  readonly says: readonly string[];
}

const training = (name: string, args: readonly string[], ...says: readonly string[]): Mistake => ({
  name,
  args: ["train", ...tinyWith(...args)],
  says,
});
const resuming = (name: string, run: string, ...says: readonly string[]): Mistake => ({
  name,
  args: ["train", "--resume", run],
  says,
});
const generating = (name: string, args: readonly string[], ...says: readonly string[]): Mistake => ({
  name,
  args: ["generate", ...args],
  says,
});
const evaluating = (name: string, args: readonly string[], ...says: readonly string[]): Mistake => ({
  name,
  args: ["evaluate", ...args],
  says,
});

const mistakes: Readonly<Record<string, readonly Mistake[]>> = {
  text: [
    training("missing", ["--data", "nowhere.txt"], "nowhere.txt", "must exist"),
    training("empty", ["--data", "empty.txt"], "empty.txt", "empty"),
    training("binary", ["--data", "binary.txt"], "binary.txt", "an image (PNG)"),
    training("a Word file", ["--data", "letter.docx"], "a zip file, as Word's .docx are; try to save it as plain text"),
    training(
      "not UTF-8",
      ["--data", "latin1.txt"],
      "latin1.txt",
      "line 2",
      "0xE9",
      "try to save it as UTF-8: iconv -f latin1 -t utf-8 latin1.txt > utf8.txt\n",
    ),
    training("shorter than the context", ["--data", "short.txt", "--model.contextLength", "64"], "65", "got 8"),
    training("one character", ["--data", "one.txt"], "the part of the text to learn from", "got 0, and 1 held out"),
    training("missing to validate on", ["--val-data", "nowhere.txt"], "nowhere.txt", "must exist"),
    training("empty to validate on", ["--val-data", "empty.txt"], "empty.txt", "empty"),
    training("binary to validate on", ["--val-data", "binary.txt"], "binary.txt", "an image (PNG)"),
    training("not UTF-8 to validate on", ["--val-data", "late-bytes.txt"], "late-bytes.txt", "0xFF", "line 2"),
    training("a folder of binary files", ["--data", "images"], "images", "only binary ones, as a.png"),
    generating("unknown character in the prompt", ["run", "--prompt", "The q"], "--prompt", '"q"', "column 5"),
    evaluating("unknown character", ["run", "--data", "other.txt", "--split", "all"], "other.txt", '"q"', "line"),
    evaluating("unknown character in the part held out", ["run", "--data", "late.txt"], "late.txt", '"q"', "line 193"),
    evaluating("missing to evaluate", ["run", "--data", "nowhere.txt"], "nowhere.txt"),
  ],
  checkpoint: [
    generating(
      "two prompts",
      ["run", "--prompt", "T", "--prompt", "I"],
      '--prompt: must be given once; got "T" and "I"',
    ),
    generating("missing", ["nowhere"], "nowhere"),
    generating("a text", ["text.txt"], "text.txt: ", "got a text; try npx foretoken train --data text.txt, or"),
    evaluating("a text", ["text.txt"], "text.txt: ", "got a text; try npx foretoken train --data text.txt, or"),
    generating("a file", ["broken.json"], "broken.json: ", "got a file that is none; try a run's folder"),
    generating("none yet", ["no-checkpoint"], "no-checkpoint: the run must have a checkpoint", "--resume"),
    generating("of a newer format", ["newer-config"], "config.json", "format version must be 1 or less; got 99"),
    generating("a folder of runs", ["runs"], "config.json; got no such file; try one of the checkpoints in it\n"),
    generating("a folder of one run", ["alone"], "try alone/run/best\n"),
    generating(
      "a folder of something else",
      ["full"],
      "try a run's folder or one of its checkpoints, a Hugging Face directory, a .gguf file or hf:org/name\n",
    ),
    generating("without weights", ["no-weights"], "model.safetensors"),
    generating("without tokenizer", ["no-tokenizer"], "tokenizer.json"),
    generating("truncated weights", ["cut-weights"], "model.safetensors"),
    generating("truncated config", ["cut-config"], "config.json", "JSON"),
    generating("wrong shape", ["wrong-shape"], "model.safetensors", "[4, 16]"),
    generating("forged header length", ["forged-header"], "model.safetensors", "header"),
    generating("forged offsets", ["forged-offsets"], "model.safetensors"),
    evaluating("truncated weights, to evaluate", ["cut-weights/checkpoint"], "model.safetensors"),
  ],
  "--init-from": [
    training("nowhere", ["--init-from", "nowhere"], "nowhere", "no such file or folder"),
    training("a text", ["--init-from", "text.txt"], "got a text; try npx foretoken train --data text.txt, or"),
    training("none yet", ["--init-from", "no-checkpoint"], "--init-from no-checkpoint: the run must have a checkpoint"),
    training(
      "without tokenizer",
      ["--init-from", "no-tokenizer"],
      "a checkpoint must have tokenizer.json to begin a run with",
    ),
    training(
      "its own folder",
      ["--init-from", "run", "--out", "run"],
      "--out run",
      "must be new or empty",
      "--resume run",
    ),
    training(
      "another model",
      ["--init-from", "run", "--model.nHead", "4"],
      "--model.nHead: must be that of the weights in run/best, 2; got 4",
      "or a new run without --init-from\n",
    ),
    training(
      "other characters",
      ["--init-from", "run", "--data", "other.txt"],
      "other.txt",
      '"q" (U+0071)',
      "(sed 's/q//g' FILE > NEW), or a new run without --init-from\n",
    ),
    training("a bad plan", ["--init-from", "run", "--learning-rate", "-1"], "--learning-rate: must be above 0"),
  ],
  "--out and --resume": [
    training("--out holds a run", ["--out", "run"], "--out run", "a run", "--resume run"),
    training("--out is a file", ["--out", "text.txt"], "--out text.txt", "a file"),
    training("--out holds other files", ["--out", "full"], "--out full", "a folder with other files"),
    training("--out below a file", ["--out", "text.txt/run"], "--out text.txt/run", "file"),
    { name: "with other flags", args: ["train", "--resume", "half", "--seed", "9"], says: ["--resume", "got --seed"] },
    {
      name: "with too few --steps",
      args: ["train", "--resume", "run", "--steps", "6"],
      says: ["--steps: the new number of all steps must be above the 6 done; got 6; try --steps 18\n"],
    },
    {
      name: "with --extend alone",
      args: ["train", "--resume", "run", "--extend", "restart"],
      says: ["--extend: must go with steps"],
    },
    {
      name: "with weights to begin with",
      args: ["train", "--resume", "run", "--init-from", "run"],
      says: ["--resume", "got --init-from"],
    },
    training("--extend without it", ["--extend", "restart"], "--extend: must go with --resume and --steps"),
    {
      name: "a finished run",
      args: ["train", "--resume", "run"],
      says: ["--resume run", "steps left", "all 6 done; try --steps 18 to train longer\n"],
    },
    { name: "another text", args: ["train", "--resume", "half-of-changed-text"], says: ["other.txt", "SHA-256"] },
    { name: "no run", args: ["train", "--resume", "run/best"], says: ["run/best", "run.json"] },
    {
      name: "a folder of runs",
      args: ["train", "--resume", "runs"],
      says: ["--resume runs: must name a run's folder; got a folder that holds runs; try --resume runs/", "or another"],
    },
    { name: "no folder", args: ["train", "--resume", "nowhere"], says: ["nowhere", "--resume", "got no such folder"] },
    { name: "a text for a run", args: ["train", "--resume", "text.txt"], says: ["--resume text.txt", "got a file"] },
    resuming("no moments", "no-moments", "optimizer.safetensors", "no such file"),
    resuming("truncated moments", "cut-moments", "optimizer.safetensors"),
    resuming("moments of another shape", "wrong-moments", "optimizer.safetensors", "[4, 16]"),
    resuming("no state", "no-state", "trainer_state.json", "no such file"),
    resuming("truncated state", "cut-state", "trainer_state.json", "JSON"),
    resuming("a state that cannot be", "negative-state", "trainer_state.json.progress.step", "got -1"),
    resuming("a run of a newer format", "newer-run", "run.json: the format version must be 1 or less; got 99"),
    resuming(
      "a checkpoint of a newer format",
      "newer-state",
      "trainer_state.json: the format version must be 1 or less",
    ),
    resuming("another model in the checkpoint", "another-model", "config.json", "must be that of run.json"),
    {
      name: "--stop-at behind",
      args: ["train", "--resume", "half", "--stop-at", "3"],
      says: ["--stop-at", "above the 3"],
    },
  ],
  values: [
    training("nEmbd and nHead", ["--model.nEmbd", "10", "--model.nHead", "4"], "--model.nEmbd", "10 and 4", "8 or 16"),
    training("0 steps", ["--steps", "0"], "--steps: must be above 0; got 0"),
    training("half a step", ["--steps", "1.5"], "--steps: must be a whole number; got 1.5"),
    training("learning rate no number", ["--learning-rate", "fast"], "--learning-rate", "number", '"fast"'),
    training("learning rate NaN", ["--learning-rate", "NaN"], "--learning-rate", '"NaN"'),
    training("learning rate infinite", ["--learning-rate", "1e999"], "--learning-rate", '"1e999"'),
    training("learning rate empty", ["--learning-rate", ""], "--learning-rate", '""'),
    training("thousands", ["--steps", "1,000"], '--steps: must be a number; got "1,000"; try 1000, or 1.000 if'),
    training("decimal comma", ["--learning-rate", "0,01"], '--learning-rate: must be a number; got "0,01"; try 0.01\n'),
    training("hexadecimal", ["--steps", "0x10"], "--steps", '"0x10"'),
    training("mistyped kind", ["--train.schedule.kind", "cosin"], "constant, cosine or linear", "try cosine"),
    training("mistyped name", ["--model.mask", "casual"], "causal or none", "try causal"),
    training("no boolean", ["--model.tieEmbeddings", "yes"], "--model.tieEmbeddings", "true or false", '"yes"'),
    training(
      "unknown kind",
      ["--train.optimizer.kind", "sgd"],
      "--train.optimizer.kind",
      "adam, adamw or muon",
      '"sgd"',
    ),
    training(
      "field of another kind",
      ["--train.schedule.kind", "constant", "--train.schedule.minLearningRate", "0"],
      "--train.schedule.minLearningRate: minLearningRate belongs to kind cosine or linear; got kind constant",
      "try --train.schedule.kind cosine or linear\n",
    ),
    training(
      "field in a field of another kind",
      ["--preset", "book", "--model.position.scaling.kind", "linear"],
      "--model.position.scaling.kind: scaling belongs to kind rope; got kind learned; try --model.position.kind rope\n",
    ),
    training(
      "no number that a kind needs",
      ["--model.position.scaling.kind", "linear"],
      "model.position.scaling.factor: must be a number; got nothing; try --model.position.scaling.factor 8\n",
    ),
    training(
      "no number that a kind needs, without an example",
      ["--preset", "book", "--model.mlp.kind", "swiglu"],
      "model.mlp.hidden: must be a number; got nothing; try a number for --model.mlp.hidden\n",
    ),
    training(
      "a number without its kind",
      ["--model.position.scaling.factor", "4"],
      "model.position.scaling.kind: must be none, linear or llama3; got nothing",
      "try --model.position.scaling.kind linear or llama3\n",
    ),
    training("dropout 1", ["--model.dropout", "1"], "--model.dropout: must be below 1; got 1"),
    training("short and long disagree", ["--train.steps", "7"], "--steps and --train.steps", "6 and 7"),
    {
      name: "two texts",
      args: ["train", "--data", "text.txt", "--data", "other.txt"],
      says: ['--data: must be given once; got "text.txt" and "other.txt"; try one of them, or a folder with both'],
    },
    {
      name: "one flag twice",
      args: ["train", ...tiny, "--steps", "7"],
      says: ['--steps: must be given once; got "6" and "7"; try one of them'],
    },
    training("fraction", ["--val-fraction", "1"], "--val-fraction", "got 1"),
    training(
      "fraction and val-data",
      ["--val-fraction", "0.2", "--val-data", "text.txt"],
      "--val-data and --val-fraction",
    ),
    training("threads", ["--threads", "0"], "--threads", "1 to 256", "got 0"),
    training("backend", ["--backend", "nativ"], "--backend", '"nativ"', "try native"),
    training("corpus", ["--data", "tiny-shakespear"], "tiny-shakespear: ", "try tiny-shakespeare, moby-dick or a path"),
    training("preset", ["--preset", "bok"], "--preset", '"bok"', "try book"),
    training(
      "memory",
      ["--model.nEmbd", "65536"],
      "memory: the run must fit into what is free; got ",
      "GiB needed",
      "--model.nEmbd",
    ),
    generating("temperature", ["run", "--temperature", "-1"], "--temperature: must be at least 0; got -1"),
    generating("top-p", ["run", "--top-p", "0"], "--top-p: must be above 0; got 0"),
    generating("no tokens", ["run", "--max-new-tokens", "0"], "--max-new-tokens: must be above 0; got 0"),
    generating("top-k", ["run", "--top-k", "1.5"], "--top-k: must be a whole number; got 1.5"),
    generating("empty stop", ["run", "--stop", ""], "--stop: must have at least 1 character; got"),
    generating("empty prompt", ["run", "--prompt", ""], "--prompt"),
    generating("escape in --prompt", ["run", "--prompt", "a\\q"], "--prompt", "\\q"),
    generating("escape in --stop", ["run", "--stop", "a\\"], "--stop", "backslash at the end"),
    evaluating(
      "split all and fraction",
      ["run", "--split", "all", "--val-fraction", "0.3"],
      "raction",
      "all of the text",
    ),
    evaluating("split", ["run", "--split", "vla"], "--split", '"vla"', "try val"),
  ],
  "config file": [
    training("missing", ["--config", "nowhere.json"], "--config nowhere.json", "no such file"),
    training("not JSON", ["--config", "broken.json"], "--config broken.json", "JSON"),
    training("unknown key", ["--config", "unknown-key.json"], "unknown-key.json: train.stepz", "try steps"),
    training("unknown part", ["--config", "unknown-part.json"], "unknown-part.json", '"trian"', "try train"),
    training(
      "field of another kind",
      ["--config", "other-kind.json"],
      "other-kind.json: model.position.scaling.lowFrequency: lowFrequency belongs to kind llama3; got kind linear",
      "try model.position.scaling.kind llama3\n",
    ),
    {
      name: "nonsense",
      args: ["train", "--config", "nonsense.json"],
      says: ["nonsense.json: train.learningRate", '"fast"'],
    },
  ],
  "generate --interactive": [
    generating("with a prompt", ["run", "--interactive", "--prompt", "The"], "--prompt and --interactive", "got both"),
    generating("of no checkpoint", ["nowhere", "--interactive"], "nowhere"),
    generating("with a bad setting", ["run", "-i", "--top-k", "1.5"], "--top-k: must be a whole number; got 1.5"),
  ],
  completion: [
    { name: "no shell", args: ["completion"], says: ["<shell>"] },
    { name: "an unknown shell", args: ["completion", "bsh"], says: ["bash, zsh or fish", '"bsh"', "try bash"] },
    { name: "two shells", args: ["completion", "bash", "zsh"], says: ["<shell>", '"zsh"'] },
  ],
  runs: [
    { name: "no folder of runs", args: ["runs", "nowhere"], says: ["nowhere", "no such folder"] },
    { name: "a file for runs", args: ["runs", "text.txt"], says: ["text.txt", "a file"] },
    { name: "an unknown order", args: ["runs", "--sort", "lss"], says: ["--sort", '"lss"', "try loss"] },
    { name: "two folders of runs", args: ["runs", "run", "half"], says: ["runs: takes [folder]", '"half"'] },
  ],
  words: [
    { name: "unknown command", args: ["trian"], says: ['"trian"', "try train"] },
    {
      name: "nothing like a command",
      args: ["x".repeat(100)],
      says: ["; try npx foretoken --help\n"],
    },
    { name: "unknown flag", args: ["train", "--stpes", "5"], says: ["--stpes", "try --steps"] },
    {
      name: "unknown config flag",
      args: ["train", "--model.nLayers", "5"],
      says: ["--model.nLayers", "try --model.nLayer"],
    },
    ...[
      ["--nKvHead", "2", "--model.nKvHead 2"],
      ["--n-kv-head", "2", "--model.nKvHead 2"],
      ["--nkvhead=2", "", "--model.nKvHead 2"],
      ["--min-learning-rate", "0", "--train.schedule.minLearningRate 0"],
      ["--batchSize", "2", "--batch-size 2"],
      ["--model.position.scaling", "llama3", "--model.position.scaling.kind llama3"],
      ["--model.position.scaling=llama3", "", "--model.position.scaling.kind llama3"],
      ["--model.position", "8", "--model.position.kind"],
      ["--model.bias", "true", "--model.bias.qkv, --model.bias.projection or --model.bias.mlp"],
    ].map(([flag = "", value = "", hint = ""]) => ({
      name: `part of a config flag, ${flag}`,
      args: ["train", flag, ...(value === "" ? [] : [value])],
      says: [`every flag must be a known one; got ${flag.split("=")[0]}; try ${hint}\n`],
    })),
    ...["--model.tieEmbeddings", "--model.dropout", "--model.norm.kind", "--backend"].map((flag) => ({
      name: `a flag for a value of ${flag}`,
      args: ["train", flag, "--model.nLayer", "1"],
      says: [`${flag}: a value must follow; got nothing before --model.nLayer\n`],
    })),
    { name: "unknown flag of the program", args: ["--versoin"], says: ["--versoin", "try --version"] },
    { name: "forgotten value", args: ["train", "--steps"], says: ["--steps", "value must follow"] },
    { name: "a flag for a value", args: ["train", "--data", "--json"], says: ["--data", '"--json"'] },
    { name: "a word too many", args: ["train", "text.txt"], says: ["train", '"text.txt"', "try --data text.txt\n"] },
    {
      name: "nanoGPT's configuration",
      args: ["train", "config/a.py"],
      says: ['"config/a.py"; try --preset book, or --config'],
    },
    { name: "a configuration without a flag", args: ["train", "a.json"], says: ['"a.json"; try --config a.json\n'] },
    { name: "a word too many, generate", args: ["generate", "run", "text"], says: ['"text"; try --prompt text\n'] },
    {
      name: "words too many, generate",
      args: ["generate", "run", "a", "text"],
      says: ['"a"; try --prompt "a text"\n'],
    },
    { name: "no checkpoint", args: ["generate"], says: ["<checkpoint>", "try npx foretoken generate --help\n"] },
  ],
};

describe.each(Object.entries(mistakes))("%s", (_, cases) => {
  let before: string[];
  beforeAll(() => {
    before = contents();
  });

  it.concurrent.each(cases)("$name: one line that says what is wrong", async ({ args, says }) => {
    const { status, stdout, stderr } = await cli(args, { cwd });
    expect({ status, silent: stdout === "", lines: stderr.split("\n").length - 1 }, stderr).toEqual({
      status: 2,
      silent: true,
      lines: 1,
    });
    expect(stderr).toMatch(/^foretoken: /u);
    for (const words of says) expect(stderr).toContain(words);
  });

  // Runs after the tests above, which are started together.
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
      /without them \((.*)\), or/u,
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
