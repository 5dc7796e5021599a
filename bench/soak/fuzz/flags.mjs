/**
 * Makes command lines for every command. In the folder of a command, only files that the command line names may change.
 */
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { isAbsolute, join, normalize, relative, resolve } from "node:path";
import { findAuto, openBackend } from "../../../dist/backend/select.node.js";
import { loadPretrained } from "../../../dist/pretrained/load.node.js";
import { savePretrained } from "../../../dist/pretrained/save.node.js";
import { train } from "../../../dist/train/train.node.js";
import { treeOf } from "../lib/folder.mjs";
import { failure, judged, judgedProgram } from "../lib/judge.mjs";
import { runInProcess } from "../lib/program.mjs";
import { configFlags, smallConfig, wordsText } from "../lib/small-run.mjs";
import {
  costlyFlags,
  costlyValues,
  hostilePaths,
  nearPaths,
  numberFlags,
  pathFlags,
  switches,
  wordFlags,
} from "./flag-values.mjs";
import { hostileNumber, hostileWord } from "./hostile-values.mjs";

/** Paths that go up beyond the scratch folder's own parents are skipped. */
const depth = 4;

const pathOf = (random) =>
  random.chance(0.4) ? random.pick(nearPaths) : random.chance(0.85) ? random.pick(hostilePaths) : hostileWord(random);

/** A flag with its value, as one word or two words, or a flag without a value. */
const flagOf = (random, command) => {
  const spelt = (flag, value) => {
    const kind = random.below(12);
    if (kind === 0) return [flag];
    if (kind === 1) return [`${flag}=`];
    return kind < 5 ? [`${flag}=${value}`] : [flag, value];
  };
  switch (random.below(9)) {
    case 0:
    case 1:
      if (numberFlags[command])
        return spelt(
          random.pick(numberFlags[command]),
          random.chance(0.7) ? hostileNumber(random) : hostileWord(random),
        );
      return [];
    case 2:
      return costlyFlags[command] ? spelt(random.pick(costlyFlags[command]), random.pick(costlyValues)) : [];
    case 3: {
      const flags = wordFlags[command];
      if (flags === undefined) return [];
      const flag = random.pick(Object.keys(flags));
      return spelt(flag, random.chance(0.7) ? random.pick(flags[flag]) : hostileWord(random));
    }
    case 4:
    case 5:
      return pathFlags[command] ? spelt(random.pick(pathFlags[command]), pathOf(random)) : [];
    case 6:
      return switches[command] ? [random.pick(switches[command])] : [];
    case 7:
      return [`--${hostileWord(random)}`];
    default:
      return [
        random.chance(0.3)
          ? hostileWord(random)
          : random.pick([
              "--",
              "-",
              "---resume",
              "--resume",
              "--data",
              "--model",
              "--model.",
              "--model.x=1",
              "-i",
              "-ih",
            ]),
      ];
  }
};

const commands = [
  "train",
  "train",
  "train",
  "train",
  "generate",
  "generate",
  "evaluate",
  "evaluate",
  "runs",
  "info",
  "completion",
  "init",
];

/** Target folders of a starter. Any folder is valid, so only folders inside the scratch folder are used. */
const starterFolders = [...nearPaths, ...hostilePaths].filter(
  (path) => !isAbsolute(path) && !normalize(path).startsWith(".."),
);

const saving = "savePretrained";

const commandLine = (random, backend) => {
  // This is not a command but a library function, which also takes a path.
  if (random.chance(0.06)) return [saving, pathOf(random)];
  if (random.chance(0.04)) return Array.from({ length: random.below(4) }, () => hostileWord(random));
  // Lessons are rare, because a valid lesson takes seconds.
  const command = random.chance(0.01) ? "lesson" : random.pick(commands);
  const extra = Array.from({ length: random.pick([0, 1, 1, 2, 3]) }, () => flagOf(random, command)).flat();
  const resumes = extra.some((word) => word.startsWith("--resume"));
  const running = ["--backend", backend, "--threads", "1"];
  switch (command) {
    case "train": {
      const own =
        resumes && random.chance(0.9) ? [] : ["--preset", "book", ...configFlags(smallConfig), "--data", "text.txt"];
      const out = resumes || random.chance(0.2) ? [] : ["--out", "out"];
      return [command, ...own, ...out, ...running, "--stop-at", resumes ? "6" : "1", ...extra];
    }
    case "generate":
      return [
        command,
        random.chance(0.7) ? "run" : pathOf(random),
        ...running,
        "--max-new-tokens",
        "3",
        "--prompt",
        "the",
        ...extra,
      ];
    case "evaluate":
      return [command, random.chance(0.7) ? "run" : pathOf(random), ...running, ...extra];
    case "lesson":
      return [command, random.pick(["pairs", "none", "x", "pairs2"]), "--data", "text.txt", ...running, ...extra];
    case "completion":
      return [command, random.pick(["bash", "zsh", "fish", "sh", hostileWord(random)]), ...extra];
    case "init":
      return [
        command,
        random.pick(["page", "node", "pages", hostileWord(random)]),
        random.pick(starterFolders),
        ...extra,
      ];
    case "runs":
      return [command, ...(random.chance(0.7) ? [pathOf(random)] : []), ...extra];
    default:
      return [command, ...extra];
  }
};

/** The values of a flag on the command line, with both spellings of the flag. */
const valuesOf = (args, flag) =>
  args.flatMap((word, i) =>
    word === flag ? [args[i + 1] ?? ""] : word.startsWith(`${flag}=`) ? [word.slice(flag.length + 1)] : [],
  );

/** Whether a command line may create or change `path`, relative to the scratch folder. */
const mayChange = (args, scratch, before) => {
  const inside = (path) => relative(scratch, resolve(scratch, path));
  if (args[0] === saving) {
    const target = inside(args[1]).replace(/^link/u, "run");
    // A folder is replaced as a whole if it is new, empty, or contains only a checkpoint.
    const replaceable = ["empty", "run/best", "broken/checkpoint"].includes(target);
    if (target === "" || (before.has(`${target}/`) && !replaceable)) return () => false;
    return (path, was) => {
      const bare = path.replace(/\/$/u, "");
      return bare === target || bare.startsWith(`${target}/`) || (was === undefined && target.startsWith(`${bare}/`));
    };
  }
  if (args[0] === "init") {
    // Only new files in a folder are allowed. If the command line names a folder inside the target of a link, the
    // target may change.
    const target = inside(args[2]).replace(/^link\//u, "run/");
    if (target.startsWith("link")) return () => false;
    return (path, was) => {
      const bare = path.replace(/\/$/u, "");
      const within = target === "" || bare === target || bare.startsWith(`${target}/`);
      return was === undefined && (within || target.startsWith(`${bare}/`));
    };
  }
  if (args[0] !== "train") return () => false;
  // The folder of a run gets more files. If the folder does not exist, it is created with all missing parent folders.
  const resumed = valuesOf(args, "--resume").map(inside);
  const made = [...valuesOf(args, "--out").map(inside), "runs"];
  return (path, was) => {
    const bare = path.replace(/\/$/u, "");
    if (resumed.some((folder) => folder !== "" && bare.startsWith(`${folder}/`))) return true;
    // If a run is resumed through a link, the run is in the link's target.
    if (resumed.some((folder) => folder.startsWith("link")) && bare.startsWith("run/")) return true;
    if (was !== undefined) return false;
    return made.some((folder) => {
      const target = folder.startsWith("link") ? folder.replace(/^link/u, "run") : folder;
      if (target === "" || (before.has(`${target}/`) && target !== "empty" && target !== "runs")) return false;
      return bare === target || bare.startsWith(`${target}/`) || target.startsWith(`${bare}/`);
    });
  };
};

export const create = async (place) => {
  const { name: backend } = await findAuto();
  // The folders above the scratch folder also belong to this program.
  const home = join(place, ...Array.from({ length: depth }, (_, i) => `up${i}`));
  const scratch = join(home, "scratch");
  const template = join(place, "template");
  mkdirSync(template, { recursive: true });
  const at = (...parts) => join(template, ...parts);
  writeFileSync(at("text.txt"), wordsText("flags", 400));
  const config = /** @type {any} */ ({ ...smallConfig, train: { ...smallConfig.train, steps: 8 } });
  const stopped = {
    preset: /** @type {const} */ ("book"),
    config,
    data: join(scratch, "text.txt"),
    finalSampleTokens: 0,
    stopAt: 5,
    threads: 1,
  };
  mkdirSync(scratch, { recursive: true });
  cpSync(at("text.txt"), join(scratch, "text.txt"));
  for await (const event of train({ ...stopped, backend, out: at("run") })) void event;
  mkdirSync(at("notes"));
  writeFileSync(at("notes", "a.txt"), wordsText("notes", 60));
  writeFileSync(at("notes", "diary.md"), "Dear diary,\nnothing.\n");
  mkdirSync(at("empty"));
  mkdirSync(at("broken", "checkpoint"), { recursive: true });
  writeFileSync(at("broken", "run.json"), "{");
  writeFileSync(at("broken", "checkpoint", "config.json"), "{}");
  symlinkSync("run", at("link"));
  symlinkSync("nowhere", at("dangling"));
  symlinkSync("loop", at("loop"));
  for (let up = home; up !== place; up = join(up, "..")) writeFileSync(join(up, "canary.txt"), "mine");
  const restore = () => {
    rmSync(scratch, { recursive: true, force: true });
    mkdirSync(scratch, { recursive: true });
    cpSync(template, scratch, { recursive: true, verbatimSymlinks: true });
  };
  restore();
  const root = join(place, "up0");
  const prefix = `${relative(root, scratch)}/`;
  let before = treeOf(root);

  const opened = await openBackend("auto", { threads: 1 });
  const lm = await loadPretrained(at("run", "checkpoint"), { backend: opened });
  const save = async (path) => {
    const where = process.cwd();
    process.chdir(scratch);
    const judgment = await judged(() => savePretrained(path, lm));
    process.chdir(where);
    return judgment;
  };

  const use = async (args) => {
    const judgment =
      args[0] === saving
        ? await save(args[1])
        : judgedProgram(await runInProcess(args, existsSync(scratch) ? scratch : home));
    const after = treeOf(root);
    const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
      (path) => before.get(path) !== after.get(path),
    );
    if (changed.length === 0) return judgment;
    const inScratch = new Map(
      [...before].filter(([path]) => path.startsWith(prefix)).map(([path, kind]) => [path.slice(prefix.length), kind]),
    );
    const allowed = mayChange(args, scratch, inScratch);
    const wrong = changed.find(
      (path) => !path.startsWith(prefix) || path === prefix || !allowed(path.slice(prefix.length), before.get(path)),
    );
    restore();
    for (let up = home; up !== place; up = join(up, "..")) writeFileSync(join(up, "canary.txt"), "mine");
    before = treeOf(root);
    return wrong === undefined
      ? judgment
      : {
          ...judgment,
          failure: failure(`a file is changed that was not to be, by ${args[0]}`, `${wrong} by ${args.join(" ")}`),
        };
  };

  return {
    undamaged: async () => {
      const one = ["--stop-at", "1", "--backend", backend];
      for (const args of [
        [...["train", "--preset", "book", ...configFlags(smallConfig), "--data", "text.txt", "--out", "out"], ...one],
        ["evaluate", "run", "--backend", backend],
        ["train", "--resume", "run", "--stop-at", "6", "--backend", backend],
        ["runs", "."],
        ["init", "page", "new"],
      ]) {
        const { failure: failed, refused } = await use(args);
        if (failed !== undefined || refused) throw new Error(`${args.join(" ")} fails: ${failed?.detail}`);
      }
    },
    run: async (random, _folder, note) => {
      // Arguments cannot contain NUL.
      // Half a surrogate pair has no UTF-8; Node replaces it by U+FFFD in arguments and paths.
      const line = commandLine(random, backend).map((word) => word.toWellFormed());
      const args = line[0] === saving ? line : line.map((word) => word.replaceAll("\0", ""));
      const what = args.map((word) => (word.length > 60 ? `${word.slice(0, 50)}…` : word)).join(" ");
      await note(what);
      const judgment = await use(args);
      return {
        ...judgment,
        what,
        bytes: 0,
        failure: judgment.failure && {
          ...judgment.failure,
          detail: `${judgment.failure.detail} of ${what.slice(-200)}`,
        },
      };
    },
  };
};
