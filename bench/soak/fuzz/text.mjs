/** Makes texts: files and folders that are invalid, or valid but unusual. */
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, linkSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openBackend } from "../../../dist/backend/select.node.js";
import { evaluate } from "../../../dist/evaluate/evaluate.node.js";
import { loadPretrained } from "../../../dist/pretrained/load.node.js";
import { train } from "../../../dist/train/train.node.js";
import { treeOf } from "../lib/folder.mjs";
import { failure, judged, judgedProgram } from "../lib/judge.mjs";
import { runInProcess } from "../lib/program.mjs";
import { configFlags, smallConfig, wordsText } from "../lib/small-run.mjs";
import { damagedBytes } from "./hostile-values.mjs";

const good = wordsText("text", 200);

const byteOrderMarks = [
  [0xef, 0xbb, 0xbf],
  [0xff, 0xfe],
  [0xfe, 0xff],
  [0, 0, 0xfe, 0xff],
];

/** Contents of a text file. */
const contents = (random) => {
  switch (random.below(18)) {
    case 0:
      return "";
    case 1:
      return random.pick(["a", "\n", " ", "\0", "é", "\ufeff", "aa", "ab", "\r"]);
    case 2:
      return damagedBytes(random, Buffer.from(good));
    case 3:
      return random.bytes(random.between(1, 4000));
    case 4:
      return Buffer.concat([Buffer.from(random.pick(byteOrderMarks)), Buffer.from(good)]);
    case 5:
      return good.replaceAll("\n", random.pick(["\r", "\r\n", "\n\r", "\u2028", "\u0085", "\v", "\f", ""]));
    case 6:
      return random.pick(["x", "xy", "the cat ", "é"]).repeat(random.pick([100, 10_000, 50_000]));
    case 7:
      // Halves of surrogate pairs, each encoded like a character.
      return Buffer.concat([Buffer.from(good), Buffer.from([0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80]), Buffer.from(good)]);
    case 8:
      return `${good}${String.fromCharCode(27)}[2J${String.fromCharCode(27)}]0;x${String.fromCharCode(7)}${good}`;
    case 9:
      return good.replaceAll(
        "a",
        random.pick(["\0", "\u0001", "\x7f", "\u009b", "\u202e", "\ufffe", "\uffff", "👩‍👩‍👧", "\u0301"]),
      );
    case 10:
      return String.fromCodePoint(
        ...Array.from({ length: random.pick([50, 3000]) }, () =>
          random.pick([random.between(1, 0xd7ff), random.between(0xe000, 0x10ffff)]),
        ),
      );
    case 11:
      // Characters that occur only in the training text or only in the held-out text.
      return `${good}${random.pick(["日", "\u001b", "\0", "z"]).repeat(random.pick([1, 30, 200]))}`;
    case 12:
      return Buffer.from(good, random.pick(["utf16le", "latin1"]));
    case 13:
      // Overlong encodings, and the encoding of a number beyond the last code point.
      return Buffer.concat([
        Buffer.from(good),
        Buffer.from(
          random.pick([
            [0xc0, 0x80],
            [0xe0, 0x80, 0xaf],
            [0xf4, 0x90, 0x80, 0x80],
            [0xf8, 0x88],
            [0xe2, 0x82],
          ]),
        ),
      ]);
    default:
      return good.slice(0, random.between(1, good.length));
  }
};

const hostileName = (random) =>
  random.pick([
    ...[
      "a.txt",
      "b.txt",
      "ä.md",
      "a\nb.txt",
      `${String.fromCharCode(27)}[31mred`,
      ".hidden",
      "-x",
      "--help",
      " ",
      "a b",
      "%s",
      "a\rb",
    ],
    ...[
      "'",
      '"',
      "x".repeat(200),
      "\u202etxt.a",
      "\u009b2J",
      "metrics.jsonl",
      "run.json",
      "model.safetensors",
      "日本語.txt",
    ],
  ]);

/** Creates a file, a folder or something else at `path`. */
const plant = (random, path, run, depth) => {
  switch (random.below(depth > 0 ? 12 : 9)) {
    case 0:
      symlinkSync(
        random.pick(["/dev/zero", "/dev/null", "/nowhere", "a.txt", ".", "..", "/proc/self/mem", path]),
        path,
      );
      break;
    case 1:
      execFileSync("mkfifo", [path]);
      break;
    case 2:
      cpSync(run, path, { recursive: true });
      break;
    case 3:
      writeFileSync(path, contents(random));
      // The superuser can still read this file.
      chmodSync(path, 0);
      break;
    case 9:
    case 10:
    case 11: {
      mkdirSync(path);
      for (let entries = random.below(5); entries > 0; entries--) {
        const inner = join(path, hostileName(random));
        if (!lstatSync(inner, { throwIfNoEntry: false })) plant(random, inner, run, depth - 1);
      }
      if (random.chance(0.1)) chmodSync(path, 0);
      break;
    }
    default:
      writeFileSync(path, contents(random));
      if (random.chance(0.1)) linkSync(path, `${path}2`.slice(0, 4000));
  }
};

const sizeOf = (folder) => {
  const names = [...treeOf(folder)].filter(
    ([name, kind]) => !name.endsWith("/") && kind !== "special" && !kind.startsWith("link"),
  );
  return names.reduce((sum, [name]) => sum + lstatSync(join(folder, name)).size, 0);
};

export const create = async (place) => {
  const data = join(place, "text.txt");
  writeFileSync(data, good);
  const backend = await openBackend("auto", { threads: 1 });
  const run = join(place, "run");
  const config = { ...smallConfig, train: { ...smallConfig.train, steps: 4 } };
  const options = {
    preset: /** @type {const} */ ("book"),
    config: /** @type {any} */ (config),
    finalSampleTokens: 0,
    backend,
  };
  for await (const event of train({ ...options, data, out: run })) void event;
  const lm = await loadPretrained(join(run, "checkpoint"), { backend });

  const use = async (random, path, folder, cwd) => {
    const way = random.below(4);
    if (way === 0) {
      const valData = random.chance(0.2) ? path : undefined;
      return judged(async () => {
        for await (const event of train({ ...options, data: path, valData, out: null, stopAt: 1 })) void event;
      });
    }
    if (way === 1) return judged(() => evaluate(lm, { data: path, split: random.pick(["val", "train", "all"]) }));
    const args =
      way === 2
        ? [
            "train",
            "--preset",
            "book",
            ...configFlags(config),
            "--data",
            path,
            "--out",
            join(folder, "out"),
            "--stop-at",
            "1",
          ]
        : ["evaluate", run, "--data", path];
    return judgedProgram(await runInProcess([...args, "--backend", backend.name, "--threads", "1"], cwd));
  };

  return {
    undamaged: async (folder) => {
      // A text with many different characters. The number of different characters is the vocabulary size of the model.
      const path = join(folder, "text.txt");
      writeFileSync(path, good + String.fromCodePoint(...Array.from({ length: 3000 }, (_, i) => 0x4e00 + i)).repeat(2));
      for await (const event of train({ ...options, data: path, out: null, stopAt: 1 })) void event;
      const outcome = judgedProgram(
        await runInProcess(["evaluate", run, "--data", data, "--backend", backend.name, "--threads", "1"], folder),
      );
      if (outcome.refused) throw new Error(`the undamaged text fails: ${outcome.failure?.detail}`);
    },
    run: async (random, folder, note) => {
      const holder = join(folder, "texts");
      mkdirSync(holder);
      const path = join(holder, random.pick(["text.txt", hostileName(random)]));
      plant(random, path, run, 2);
      const before = treeOf(holder);
      await note([...before].map(([name, kind]) => `${name} (${kind.length === 64 ? "file" : kind})`).join(", "));
      const outcome = await use(random, random.chance(0.2) ? holder : path, folder, holder);
      const after = treeOf(holder);
      const changed =
        [...before].find(([name, kind]) => after.get(name) !== kind) ?? [...after].find(([name]) => !before.has(name));
      const what = [...before.keys()].join(", ");
      if (changed !== undefined)
        return { ...outcome, what, failure: failure("the text's folder is changed", changed[0]) };
      return { ...outcome, what, bytes: sizeOf(holder) };
    },
  };
};
