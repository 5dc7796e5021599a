/**
 * Makes run folders with damaged, forged or exchanged files, like folders from an attacker. The program loads,
 * evaluates and resumes these runs.
 */
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { openBackend } from "../../../dist/backend/select.node.js";
import { evaluate } from "../../../dist/evaluate/evaluate.node.js";
import { loadPretrained } from "../../../dist/pretrained/load.node.js";
import { train } from "../../../dist/train/train.node.js";
import { treeOf } from "../lib/folder.mjs";
import { failure, judged, judgedProgram } from "../lib/judge.mjs";
import { runInProcess } from "../lib/program.mjs";
import { smallConfig, wordsText } from "../lib/small-run.mjs";
import { damagedBytes, damagedEncoding, damagedJson, hostileJson, hostileWord } from "./hostile-values.mjs";
import { signAgain } from "./signed.mjs";

/** Files of a run, by path. */
const filesOf = (run) =>
  [...treeOf(run)].filter(([path, kind]) => !path.endsWith("/") && kind !== "special").map(([path]) => path);

const headerOf = (bytes) => {
  const length = Number(bytes.readBigUInt64LE(0));
  return { header: JSON.parse(bytes.subarray(8, 8 + length).toString()), data: bytes.subarray(8 + length) };
};

const withHeader = (text, data) => {
  const header = Buffer.from(text);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, data]);
};

/** Returns a safetensors file with an edited header: wrong shapes, offsets, types or names. */
const forgedTensors = (random, bytes) => {
  let header;
  let data;
  try {
    ({ header, data } = headerOf(bytes));
  } catch {
    // Damaged already.
    return damagedBytes(random, bytes);
  }
  const names = Object.keys(header).filter((name) => name !== "__metadata__");
  const name = random.pick(names);
  const tensor = header[name];
  const far = [0, -1, 1.5, 2 ** 31, 2 ** 53, 1e300, data.length + 1, null, "0"];
  switch (random.below(12)) {
    case 0:
      tensor.shape = random.pick([
        [],
        [0],
        [-1, -1],
        [2 ** 31, 2 ** 31],
        [1e300],
        "x",
        [1, [2]],
        null,
        [0.5],
        [2 ** 53],
      ]);
      break;
    case 1:
      tensor.data_offsets = random.pick([
        [0, random.pick(far)],
        [random.pick(far), data.length],
        [],
        [0],
        null,
        [8, 4],
      ]);
      break;
    case 2:
      tensor.dtype = random.pick([
        "F64",
        "F16",
        "BF16",
        "I8",
        "BOOL",
        "F8_E4M3",
        "",
        null,
        32,
        "f32",
        hostileWord(random),
      ]);
      break;
    case 3:
      header[hostileWord(random)] = tensor;
      break;
    case 4:
      delete header[name];
      break;
    case 5: {
      // Two names refer to the same bytes.
      const other = random.pick(names);
      header[name] = header[other];
      break;
    }
    case 6:
      header.__metadata__ = random.pick([null, 1, [], { format: 1 }, { a: { b: 1 } }, { format: hostileWord(random) }]);
      break;
    case 7: {
      const copy = Buffer.from(bytes);
      copy.writeBigUInt64LE(
        random.pick([0n, 1n, 2n ** 63n, 2n ** 64n - 1n, BigInt(bytes.length), 100_000_001n, 2n ** 32n]),
      );
      return copy;
    }
    case 8:
      return withHeader(hostileJson(random, 3), data);
    case 9:
      return withHeader(damagedJson(random, header), data);
    case 10: {
      // Not numbers.
      const copy = Buffer.from(data);
      const at = 4 * random.below(data.length / 4);
      copy.writeUInt32LE(random.pick([0x7fc00000, 0x7f800000, 0xff800000, 0x7f7fffff, 1]), at);
      return withHeader(JSON.stringify(header), copy);
    }
    default:
      return withHeader(JSON.stringify(header) + " ".repeat(random.pick([1, 8, 1_000_000])), data);
  }
  return withHeader(JSON.stringify(header), data);
};

/** Changes one part of the run and returns a description. */
const damage = (random, run, other) => {
  const file = random.pick(filesOf(run));
  const path = join(run, file);
  const write = (bytes) => writeFileSync(path, bytes);
  const replaceBy = (make) => {
    rmSync(path, { recursive: true, force: true });
    make();
  };
  const isTensors = file.endsWith(".safetensors");
  const kind = random.below(16);
  switch (kind) {
    case 0:
      // The fuzzer must not write through the link, because this would change the target.
      if (lstatSync(path).isSymbolicLink()) return `${file} is a link already`;
      truncateSync(path, random.pick([0, 1, 7, 8, random.below(lstatSync(path).size + 1)]));
      return `${file} is cut`;
    case 1:
      replaceBy(() => {});
      return `${file} is missing`;
    case 2:
      replaceBy(() =>
        symlinkSync(random.pick([join(other, file), "/dev/zero", "/proc/self/mem", file, "/nowhere"]), path),
      );
      return `${file} is a link`;
    case 3:
      replaceBy(() => execFileSync("mkfifo", [path]));
      return `${file} is a pipe`;
    case 4:
      replaceBy(() => mkdirSync(path));
      return `${file} is a folder`;
    case 5: {
      const from = random.pick(filesOf(other));
      replaceBy(() => cpSync(join(other, from), path));
      return `${file} is ${from} of another step`;
    }
    case 6: {
      const folder = random.pick(["checkpoint", "best"]);
      const name = random.chance(0.5)
        ? join(run, folder, random.pick(["x", ".hidden", "a\nb", "manifest.json.tmp"]))
        : join(run, folder);
      if (!existsSync(join(run, folder))) return `${folder} is gone already`;
      if (name === join(run, folder)) {
        renameSync(name, join(run, random.pick([`.old-${folder}`, `.tmp-0123456789ab-${folder}`, "elsewhere"])));
        return `${folder} has another name`;
      }
      writeFileSync(name, "extra");
      return `${folder} has a file more`;
    }
    case 7: {
      const name = random.pick([
        "README.md.tmp",
        "samples.txt.tmp",
        "metrics.jsonl.tmp",
        "run.json.tmp",
        "lock",
        ".lock",
      ]);
      rmSync(join(run, name), { force: true });
      symlinkSync(join(run, "..", "precious.txt"), join(run, name));
      return `${name} is a link to a file of the user's`;
    }
    default:
  }
  // The fuzzer must not write through the link, because this would change the target.
  if (lstatSync(path).isSymbolicLink()) return `${file} is a link already`;
  const bytes = readFileSync(path);
  if (kind === 8 || (kind === 9 && !isTensors && !file.endsWith(".json"))) {
    write(damagedBytes(random, bytes));
    return `${file}: bytes damaged`;
  }
  if (isTensors) {
    write(forgedTensors(random, bytes));
    return `${file}: header forged`;
  }
  if (file.endsWith(".json")) {
    const text = damagedJson(random, parsed(bytes.toString()));
    write(random.chance(0.2) ? damagedEncoding(random, text) : text);
    return `${file}: JSON forged`;
  }
  if (file.endsWith(".jsonl")) {
    const lines = bytes.toString().split("\n");
    const at = random.below(lines.length);
    lines[at] = random.chance(0.5) ? hostileJson(random, 3) : damagedJson(random, parsed(lines[at]));
    write(lines.join("\n"));
    return `${file}: a line forged`;
  }
  appendFileSync(path, hostileWord(random));
  return `${file}: text added`;
};

/** Parses JSON. Returns an empty object if the JSON is already damaged, or nested too deeply to copy. */
const parsed = (text) => {
  try {
    return structuredClone(JSON.parse(text));
  } catch {
    return {};
  }
};

const sizeOf = (run) =>
  filesOf(run).reduce(
    (sum, file) => sum + (lstatSync(join(run, file)).isFile() ? statSync(join(run, file)).size : 0),
    0,
  );

export const create = async (place) => {
  const data = join(place, "text.txt");
  writeFileSync(data, wordsText("checkpoint", 300));
  const short = join(place, "short.txt");
  writeFileSync(short, "the cat sat on a mat.\n");
  const backend = await openBackend("auto", { threads: 1 });
  const template = join(place, "run");
  const other = join(place, "other");
  const config = { ...smallConfig, train: { ...smallConfig.train, steps: 40 } };
  const begin = {
    preset: /** @type {const} */ ("book"),
    config: /** @type {any} */ (config),
    data,
    finalSampleTokens: 0,
    backend,
  };
  // A whole run. The run may contain files of different steps.
  for (const [out, stopAt] of /** @type {const} */ ([
    [template, 9],
    [other, 17],
  ]))
    for await (const event of train({ ...begin, out, stopAt })) void event;
  const precious = join("precious.txt");

  /** Loads, evaluates and resumes the run. */
  const use = async (run, folder, name) => {
    const checkpoint = join(run, name);
    const loaded = await judged(async () => {
      const lm = await loadPretrained(checkpoint, { backend });
      try {
        await evaluate(lm, { data: short, split: "all" });
      } finally {
        await lm.close();
      }
    });
    if (loaded.failure !== undefined) return { ...loaded, step: "load and evaluate" };
    const shown = judgedProgram(
      await runInProcess(["evaluate", run, "--data", short, "--split", "all", "--backend", "reference"], folder),
    );
    if (shown.failure !== undefined) return { ...shown, step: "foretoken evaluate" };
    const listed = judgedProgram(await runInProcess(["runs", folder], folder));
    if (listed.failure !== undefined) return { ...listed, step: "foretoken runs" };
    const resumed = await judged(async () => {
      let steps = 0;
      // Trains one step, stops like after Ctrl-C, and saves.
      const stop = new AbortController();
      for await (const event of train({ resume: run, backend, signal: stop.signal }))
        if (event.type === "step" && ++steps === 1) stop.abort();
    });
    return { ...resumed, refused: resumed.refused || loaded.refused, step: "resume" };
  };

  const withRun = (folder) => {
    writeFileSync(join(folder, precious), "mine");
    const run = join(folder, "run");
    cpSync(template, run, { recursive: true });
    return run;
  };

  return {
    undamaged: async (folder) => {
      const { failure: failed, refused, step } = await use(withRun(folder), folder, "checkpoint");
      if (failed !== undefined || refused)
        throw new Error(`the undamaged checkpoint fails to ${step}: ${failed?.detail}`);
    },
    run: async (random, folder, note) => {
      const run = withRun(folder);
      const done = Array.from({ length: random.pick([1, 1, 1, 2]) }, () => damage(random, run, other));
      const signed = random.below(3);
      for (const name of ["checkpoint", "best"]) {
        if (signed === 1) signAgain(join(run, name));
        if (signed === 2) rmSync(join(run, name, "manifest.json"), { force: true, recursive: true });
      }
      const bytes = sizeOf(run);
      await note(done.join(", "));
      const { step, ...outcome } = await use(run, folder, done.join().includes("best") ? "best" : "checkpoint");
      const what = `${done.join(", ")}; ${step}`;
      const mine = readFileSync(join(folder, precious), "utf8");
      if (mine !== "mine")
        return { ...outcome, bytes, what, failure: failure("a file of the user's is overwritten", `${what}: ${mine}`) };
      const failed = outcome.failure;
      return { ...outcome, bytes, what, failure: failed && { ...failed, detail: `${what}: ${failed.detail}` } };
    },
  };
};
