/**
 * Simulates faults of the file system. Each file-system call of the program fails once. The disk is full, broken or
 * read-only, or a permission is missing. Or the call transfers only a part of its bytes. Each write to standard output
 * also fails once.
 * The exit status must be 2, with one line that names the error and the file. The exit status may be 0 if the call was
 * not needed. No file of the user may change. The run's files must be complete: a resumed run must end with the same
 * bits as a run without faults.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createFindings } from "./lib/findings.mjs";
import { differenceOf, treeOf } from "./lib/folder.mjs";
import { failure, judgedProgram } from "./lib/judge.mjs";
import { each, start } from "./lib/processes.mjs";
import { configFlags, smallConfig, wordsText } from "./lib/small-run.mjs";

const preload = new URL("./lib/fault-preload.mjs", import.meta.url).href;
const saver = fileURLToPath(new URL("./lib/save-model.mjs", import.meta.url));
const devFull = "/dev/full";

const running = ["--backend", "reference"];
/**
 * The run writes two checkpoints, and the second checkpoint replaces the first. More checkpoints would make the same
 * calls.
 */
const config = { ...smallConfig, train: { ...smallConfig.train, steps: 4, evalInterval: 2, checkpointInterval: 2 } };
const stopAt = 2;
const train = ["train", "--preset", "book", ...configFlags(config), "--data", "text.txt", "--out", "run", ...running];
const resume = ["train", "--resume", "run", ...running];

/** Commands on a failing file system. `from`: the prepared folder with which they begin. */
const scenarios = {
  "train a new run": { args: train, from: "text" },
  "resume a run": { args: resume, from: "stopped" },
  // Only the calls before the checkpoint is found again. The cases above test later calls.
  "resume a run between the renames": { args: resume, from: "renamed", calls: 150 },
  generate: { args: ["generate", "run", "--prompt", "the ", "--max-new-tokens", "5", ...running], from: "whole" },
  evaluate: { args: ["evaluate", "run", ...running], from: "whole" },
  runs: { args: ["runs", "."], from: "whole" },
  savePretrained: { args: [join("run", "checkpoint"), "model"], from: "whole", script: saver },
};

/** Commands with a standard output that fails. */
const outputs = {
  train: { args: train, from: "text" },
  "train --json": { args: [...train, "--json"], from: "text" },
  "train --profile": { args: [...train, "--profile"], from: "text" },
  "train --resume --json": { args: [...resume, "--json"], from: "stopped" },
  generate: { args: ["generate", "run", "--prompt", "the ", "--max-new-tokens", "4", ...running], from: "whole" },
  "generate --json": { args: ["generate", "run", "--max-new-tokens", "4", "--json", ...running], from: "whole" },
  "generate -i": {
    args: ["generate", "run", "-i", "--max-new-tokens", "4", ...running],
    from: "whole",
    input: "the\nthe\n",
  },
  evaluate: { args: ["evaluate", "run", ...running], from: "whole" },
  "evaluate --json": { args: ["evaluate", "run", "--json", ...running], from: "whole" },
  runs: { args: ["runs", "."], from: "whole" },
  "runs --json": { args: ["runs", ".", "--json"], from: "whole" },
  info: { args: ["info"], from: "text" },
  "info --json": { args: ["info", "--json"], from: "text" },
  completion: { args: ["completion", "bash"], from: "text" },
  "lesson pairs": { args: ["lesson", "pairs", "--data", "text.txt", ...running], from: "text" },
  help: { args: ["--help"], from: "text" },
  "train --help": { args: ["train", "--help"], from: "text" },
  version: { args: ["--version"], from: "text" },
};

/** Returns the faults that a call can have. */
const faultsOf = (name) => {
  if (/^handle\.(write|appendFile|writeFile|writev)$/u.test(name)) return ["ENOSPC", "EIO", "short"];
  if (/^(writeFile|appendFile)/u.test(name)) return ["ENOSPC", "EIO", "EACCES", "EROFS", "short"];
  if (name === "handle.read") return ["EIO", "short"];
  if (name === "handle.sync" || name === "handle.datasync") return ["EIO", "ENOSPC"];
  if (name.startsWith("handle.")) return ["EIO"];
  if (/^(open to write|mkdir|rename|symlink|link|copyFile)/u.test(name)) return ["ENOSPC", "EIO", "EACCES", "EROFS"];
  if (/^(rm|unlink|rmdir|utimes|chmod|truncate)/u.test(name)) return ["EIO", "EACCES", "EROFS"];
  return ["EIO", "EACCES"];
};

const said = {
  ENOSPC: /ENOSPC|no space|full/iu,
  EIO: /EIO|i\/o error/iu,
  EACCES: /EACCES|permission/iu,
  EROFS: /EROFS|read-only|cannot be written to/iu,
  short: /ENOSPC|no space|full|short|cut|end/iu,
};

/** Names of the file that an error line may use: its own name, or the name of a folder above it. */
const namesFor = (path, scratch) => {
  const names = [];
  for (let at = path; at !== scratch && at !== dirname(at) && names.length < 4; at = dirname(at))
    names.push(
      basename(at)
        .replace(/^\.(tmp-[0-9a-f]+|old)-/u, "")
        .replace(/\.tmp$/u, ""),
    );
  return names;
};

const prepare = async (place) => {
  const folders = Object.fromEntries(["text", "stopped", "renamed", "whole"].map((name) => [name, join(place, name)]));
  mkdirSync(join(folders.text, "notes"), { recursive: true });
  writeFileSync(join(folders.text, "text.txt"), wordsText("faults", 400));
  writeFileSync(join(folders.text, "notes", "diary.md"), "Dear diary,\nnothing.\n");
  const make = async (name, args) => {
    cpSync(folders.text, folders[name], { recursive: true });
    // A run stores the path of its text. So the text must be in this folder, and not in the copy for a case.
    const { status, stderr } = await start(["train", ...args], { cwd: folders[name] });
    if (status !== 0) throw new Error(`faults: the run without a fault fails: ${stderr}`);
  };
  await make("whole", train.slice(1));
  await make("stopped", [...train.slice(1), "--stop-at", String(stopAt)]);
  cpSync(folders.stopped, folders.renamed, { recursive: true });
  cpSync(join(folders.renamed, "run", "checkpoint"), join(folders.renamed, "run", ".old-checkpoint"), {
    recursive: true,
  });
  rmSync(join(folders.renamed, "run", "checkpoint"), { recursive: true });
  // A saved model that a case replaces. This model cannot be a run's checkpoint, because only the run itself may
  // replace it.
  const saved = await start([join("run", "best"), "model"], { cwd: folders.whole, script: saver });
  if (saved.status !== 0) throw new Error(`faults: a model cannot be saved without a fault: ${saved.stderr}`);
  return folders;
};

/** The folder of a run that could not be saved in its own folder. */
const rescued = "run-rescued";

/** The paths in a folder that may change during a scenario. */
const isOurs = (path, { args, script }) =>
  script === saver
    ? /^(\.(tmp-[0-9a-f]+|old)-)?model\//u.test(path)
    : args[0] === "train" && (path.startsWith("run/") || path.startsWith(`${rescued}/`));

const changedOf = (cwd, before, scenario) => {
  const after = treeOf(cwd);
  return [...new Set([...before.keys(), ...after.keys()])].find(
    (path) => before.get(path) !== after.get(path) && !isOurs(path, scenario) && !/^(run|model)\/$/u.test(path),
  );
};

/** Resumes the run in the folder `name`. Returns how it differs from a run without faults. */
const afterGoingOn = async (cwd, name, args, whole) => {
  const run = join(cwd, name);
  const finished = () => {
    try {
      return (
        JSON.parse(readFileSync(join(run, "checkpoint", "trainer_state.json"), "utf8")).progress.step ===
        config.train.steps
      );
    } catch {
      return false;
    }
  };
  const { status, stderr } = await start(args, { cwd });
  const refusedAsDone = status === 2 && /have steps left|finished|complete/u.test(stderr) && finished();
  if (status !== 0 && !refusedAsDone) return failure("afterwards the run neither resumes nor begins anew", stderr);
  try {
    const difference = differenceOf(run, join(whole, "run"));
    return difference === undefined ? undefined : failure("afterwards the run ends in other bits", difference);
  } catch (error) {
    return failure("afterwards the run is not whole", error.message);
  }
};

/**
 * Resumes a run after its fault. If the run has no files, begins it again. If there is a rescued run, resumes this run,
 * too.
 */
const afterTraining = async (cwd, whole) => {
  const again = existsSync(join(cwd, "run", "run.json")) ? resume : train;
  const found = await afterGoingOn(cwd, "run", again, whole);
  if (found !== undefined || !existsSync(join(cwd, rescued))) return found;
  return afterGoingOn(cwd, rescued, ["train", "--resume", rescued, ...running], whole);
};

const sameFolders = (one, other) => JSON.stringify([...treeOf(one)]) === JSON.stringify([...treeOf(other)]);

const afterSaving = async (cwd, { whole, scenario, status, folders }) => {
  const model = join(cwd, "model");
  if (!existsSync(model)) {
    if (!existsSync(join(cwd, ".old-model"))) return failure("the model is gone", readdirSync(cwd).join());
  } else if (
    status === 0
      ? !sameFolders(model, whole)
      : !sameFolders(model, whole) && !sameFolders(model, join(folders.whole, "model"))
  ) {
    return failure("the model is neither the old one nor the new one", readdirSync(model).join());
  }
  const again = await start(scenario.args, { cwd, script: scenario.script });
  if (again.status !== 0 || !sameFolders(model, whole))
    return failure("afterwards the model cannot be saved", again.stderr);
  const left = readdirSync(cwd).find((name) => /^\.(tmp|old)-/u.test(name));
  return left === undefined ? undefined : failure("afterwards there is rubbish", left);
};

/** Judges the end of a process with a fault. */
const judgedEnd = ({ status, signal, stderr }, { fault, path, cwd, isOutput }) => {
  if (status === null) return failure(`ended by ${signal}`, stderr);
  const judgment = judgedProgram({ status, stdout: "", stderr });
  if (judgment.failure !== undefined) return judgment.failure;
  if (status === 0) return isOutput ? failure("exit status 0 although output is lost", stderr) : undefined;
  const line = stderr.trimEnd().split("\n").at(-1) ?? "";
  if (!said[fault].test(line)) return failure(`the line does not say what happened (${fault})`, line);
  const names = isOutput ? ["standard output", "stdout", "output"] : namesFor(path, cwd);
  return names.length === 0 || names.some((name) => line.includes(name))
    ? undefined
    : failure("the line does not say where", `${line} (${path})`);
};

/** Runs one case in its own folder. */
const runCase = async (place, folders, one) => {
  const { number, scenario, fault, call, path, write, stays, full } = one;
  // A case always has the same path, so that the hash of the text's path is always the same.
  const cwd = join(place, `case-${number}`);
  cpSync(folders[scenario.from], cwd, { recursive: true });
  for (const name of ["run"].filter((each) => existsSync(join(cwd, each, "run.json")))) {
    const description = join(cwd, name, "run.json");
    writeFileSync(description, readFileSync(description, "utf8").replaceAll(folders[scenario.from], cwd));
  }
  const before = treeOf(cwd);
  const isOutput = call === undefined;
  const mark = `${cwd}.fault`;
  const plan = full ? {} : isOutput ? { write, fault, stays, mark } : { call, fault };
  const ended = await start(scenario.args, {
    cwd,
    script: scenario.script,
    preload,
    input: scenario.input,
    // A file that is not compared, or a device that is always full.
    stdout: full ? devFull : `${cwd}.out`,
    env: { FORETOKEN_SOAK_FAULT: JSON.stringify(plan) },
  });
  // Output that is written within a short time needs only one call. On a slower machine, there are more calls, and so
  // more cases.
  const failed = !isOutput || full || existsSync(mark);
  const changed = changedOf(cwd, before, scenario);
  const { whole } = folders;
  const found =
    judgedEnd(ended, { fault, path, cwd, isOutput: isOutput && failed }) ??
    (changed === undefined ? undefined : failure("a file of the user's changed", changed)) ??
    (scenario.args[0] === "train" && !scenario.args.includes("--help") ? await afterTraining(cwd, whole) : undefined) ??
    (scenario.script === saver
      ? await afterSaving(cwd, { whole: join(folders.whole, "expected"), scenario, status: ended.status, folders })
      : undefined);
  rmSync(cwd, { recursive: true, force: true });
  for (const path of [`${cwd}.out`, mark]) rmSync(path, { force: true });
  return { found, status: ended.status };
};

/** Returns all cases. To count the calls of a scenario, it runs each scenario once without a fault. */
const listCases = async (place, folders) => {
  const cases = [];
  const counts = [];
  const measure = async (scenario) => {
    const cwd = join(place, "measured");
    const log = join(place, "calls.json");
    cpSync(folders[scenario.from], cwd, { recursive: true });
    const { status, stderr } = await start(scenario.args, {
      cwd,
      script: scenario.script,
      preload,
      input: scenario.input,
      stdout: join(place, "measured.out"),
      env: { FORETOKEN_SOAK_FAULT: JSON.stringify({ log }) },
    });
    if (status !== 0) throw new Error(`faults: ${scenario.args.join(" ")} fails without a fault: ${stderr}`);
    if (scenario.script === saver) cpSync(join(cwd, "model"), join(folders.whole, "expected"), { recursive: true });
    rmSync(cwd, { recursive: true });
    const lines = readFileSync(log, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    rmSync(log);
    const calls = lines.filter(({ name }) => name !== undefined);
    return { calls, writes: lines.find(({ writes }) => writes !== undefined)?.writes ?? 0 };
  };
  for (const [name, scenario] of Object.entries(scenarios)) {
    const { calls } = await measure(scenario);
    counts.push(`${name}: ${calls.length} calls`);
    for (const [i, call] of calls.slice(0, scenario.calls).entries())
      for (const fault of faultsOf(call.name))
        cases.push({
          scenario,
          what: `${name}: ${fault} at call ${i + 1}, ${call.name}`,
          kind: `${name}, ${call.name}`,
          call: i + 1,
          path: call.path,
          fault,
        });
  }
  for (const [name, scenario] of Object.entries(outputs)) {
    const { writes } = await measure(scenario);
    counts.push(`${name}: ${writes} writes`);
    if (existsSync(devFull))
      cases.push({ scenario, what: `${name} > ${devFull}`, kind: `${name}, output`, fault: "ENOSPC", full: true });
    // Each lesson takes seconds and has hundreds of similar writes.
    const counted = name.startsWith("lesson") ? Math.min(writes, 2) : writes;
    for (let write = 1; write <= counted; write++)
      for (const [fault, stays] of [
        ["ENOSPC", true],
        ["EIO", false],
      ])
        cases.push({
          scenario,
          what: `${name}: ${fault} at write ${write} of ${writes}`,
          kind: `${name}, output`,
          write,
          fault,
          stays,
        });
  }
  console.log(`faults: ${counts.join("; ")}`);
  return cases.map((one, i) => ({ ...one, number: i + 1 }));
};

/**
 * @param {{ cases?: number | undefined, only?: number | undefined, match?: string }} options
 * `match`: only cases whose description contains it. `cases`: number of cases, evenly spread (default: all).
 */
export const faults = async ({ cases: wanted, only, match = "" }) => {
  const place = mkdtempSync(join(tmpdir(), "foretoken-faults-"));
  try {
    const folders = await prepare(place);
    const all = await listCases(place, folders);
    const matching = all.filter(({ what }) => what.includes(match));
    const count = Math.min(wanted ?? matching.length, matching.length);
    // The code multiplies before it divides. With a rounded quotient, the last case would sometimes be lost.
    const before = (i) => Math.floor((i * count) / matching.length);
    const chosen =
      only === undefined
        ? matching.filter((_, i) => before(i + 1) > before(i))
        : all.filter(({ number }) => number === only);
    const findings = createFindings((number) => `node bench/soak/main.mjs --part faults --only ${number}`);
    let survived = 0;
    await each(chosen, availableParallelism(), async (one) => {
      const { found, status } = await runCase(place, folders, one);
      if (status === 0) survived++;
      // A failure is printed at once, because the remaining cases need an hour.
      if (found !== undefined) console.log(`  case ${one.number}: ${one.what}: ${found.cause}`);
      if (found !== undefined)
        findings.add(one.number, { cause: `${one.kind}: ${found.cause}`, detail: `${one.what}: ${found.detail}` });
      if (only !== undefined)
        console.log(
          `  ${one.what} (${one.path ?? ""}): ${found === undefined ? `as it should be, exit status ${status}` : found.detail}`,
        );
    });
    findings.print();
    console.log(
      `faults: ${chosen.length} of ${all.length} cases, ${survived} with exit status 0, ${findings.count()} failed`,
    );
    return { failed: findings.count(), cases: chosen.length, of: all.length, causes: findings.causes() };
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
};
