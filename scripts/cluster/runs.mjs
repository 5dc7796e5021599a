// Code for the checks on cluster software. The code starts small runs, compares the bits of their results, and makes a
// program with an addon for another MPI.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { root } from "../build/common.mjs";
import { addonFile, compileMpi } from "../build/mpi.mjs";
import { findHeaders } from "../build/native.mjs";

const model = { contextLength: 16, nLayer: 2, nHead: 2, nEmbd: 16, dropout: 0.2 };
const train = {
  ...{ steps: 8, batchSize: 3, gradAccumSteps: 4, learningRate: 1e-2, warmupSteps: 3, maxGradNorm: 1 },
  ...{ evalInterval: 5, checkpointInterval: 4, patience: 0, sampleTokens: 3 },
};
const configs = {
  adamw: { preset: "book", model, train: { ...train, optimizer: { kind: "adamw", weightDecay: 0.1 } } },
  muon: { preset: "shakespeare", model, train: { ...train, optimizer: { kind: "muon" } } },
};

/** Pairs of an optimizer and a dtype. */
export const cases = Object.keys(configs).flatMap((optimizer) =>
  ["float32", "bfloat16"].map((dtype) => ({ optimizer, dtype })),
);

/** Writes the text and the configuration files of the runs. */
export const writeInputs = (folder) => {
  writeFileSync(join(folder, "text.txt"), "The cat sat on a mat.\nIt had a hat.\n\nSo it sat.\n".repeat(64));
  for (const [name, config] of Object.entries(configs)) {
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(config));
  }
};

/** Arguments after `train` for one run. */
export const flagsOf = (folder, { optimizer, dtype }, out) => [
  ...["--data", join(folder, "text.txt"), "--config", join(folder, `${optimizer}.json`), "--dtype", dtype],
  ...["--backend", "native", "--out", join(folder, out), "--json"],
];

/** Flags of a run that saves often and trains until the check ends it. */
export const long = ["--steps", "100000", "--eval-interval", "50", "--checkpoint-interval", "10"];

/** This clone's program with an addon built by `compiler`, in `folder`. Resolves to its path. */
export const buildProgram = async (folder, compiler) => {
  const headers = findHeaders();
  if (headers === undefined) throw new Error("no Node-API headers found (npm install node-api-headers)");
  const ours = join(root, "dist", addonFile);
  cpSync(join(root, "dist"), join(folder, "dist"), { recursive: true, filter: (path) => path !== ours });
  cpSync(join(root, "package.json"), join(folder, "package.json"));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  await compileMpi(compiler, headers, join(folder, "dist", addonFile));
  return join(folder, "dist/cli/main.js");
};

/** A process, its output so far, and a promise of its result. */
export const start = (command, options = {}) => {
  const [program = "", ...args] = command;
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  const started = { stdout: "", stderr: "", kill: (signal) => child.kill(signal) };
  child.stdout.setEncoding("utf8").on("data", (text) => (started.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (started.stderr += text));
  const ended = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status, signal) => resolve({ status, signal, stdout: started.stdout, stderr: started.stderr }));
  });
  return Object.assign(started, { ended });
};

/** Resolves to the output of a command. Rejects with the output if the command fails. */
export const output = async (command, options = {}) => {
  const { status, stdout, stderr } = await start(command, options).ended;
  if (status !== 0) throw new Error(`${command.join(" ")} exited with ${status}: ${stderr.trim()} ${stdout.trim()}`);
  return stdout;
};

/** Polls until a condition is true. Resolves to the number of seconds. */
export const until = async (what, isSo, seconds = 60) => {
  const began = performance.now();
  for (;;) {
    const passed = (performance.now() - began) / 1000;
    if (await isSo()) return passed;
    if (passed > seconds) throw new Error(`${what}: not reached within ${seconds} s`);
    await setTimeout(50);
  }
};

const readProc = (pid, name) => {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return "";
  }
};

/** The command line of a process, as words. */
export const commandOf = (pid) => readProc(pid, "cmdline").split("\0");

/**
 * Process ids, by rank, of the ranks that train in a folder. The launcher sets the environment variable `variable` to
 * the rank.
 */
export const ranksOf = (out, variable) =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/u.test(name) && commandOf(name).includes(out) && commandOf(name).includes("train"))
    .map((name) => {
      const entry = readProc(name, "environ")
        .split("\0")
        .find((one) => one.startsWith(`${variable}=`));
      return { pid: Number(name), rank: entry === undefined ? -1 : Number(entry.slice(variable.length + 1)) };
    })
    .filter(({ rank }) => rank >= 0)
    .sort((a, b) => a.rank - b.rank)
    .map(({ pid }) => pid);

/** Whether a process is still active. A process that has ended stays in the list until its parent reads its status. */
export const isAlive = (pid) => !/(^$)|\) [ZX] /u.test(readProc(pid, "stat"));

/** The logged events of a run. */
export const notesOf = (out) => {
  const file = join(out, "metrics.jsonl");
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
  return lines.filter((line) => line.endsWith("}")).map((line) => JSON.parse(line));
};

/** The step of a run's last checkpoint; 0 if there is no checkpoint. */
export const savedStep = (out) => {
  const file = join(out, "checkpoint/trainer_state.json");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).progress.step : 0;
};

/** SHA-256 of the files of a run's checkpoints, by path. */
export const bitsOf = (out) =>
  Object.fromEntries(
    ["checkpoint", "best"].flatMap((folder) =>
      (existsSync(join(out, folder)) ? readdirSync(join(out, folder)) : []).sort().map((file) => [
        `${folder}/${file}`,
        createHash("sha256")
          .update(readFileSync(join(out, folder, file)))
          .digest("hex"),
      ]),
    ),
  );

/** @returns the number of files. Throws if a file differs. The error names the first file that differs. */
export const checkSameBits = (out, expected) => {
  const [ours, theirs] = [bitsOf(out), bitsOf(expected)];
  const names = new Set([...Object.keys(ours), ...Object.keys(theirs)]);
  for (const name of names) {
    if (ours[name] !== theirs[name]) throw new Error(`${name} differs in ${out} and ${expected}`);
  }
  if (names.size === 0) throw new Error(`no files in ${out}`);
  return names.size;
};

/**
 * Runs checks one after another. Prints a line for each check, and sets the exit status. An argument of the script
 * selects the checks with this text in their name.
 */
export const makeChecks = () => {
  const [, , wanted = ""] = process.argv;
  let failures = 0;
  return {
    check: async (name, act) => {
      if (!name.includes(wanted)) return;
      try {
        const found = await act();
        console.log(`ok      ${name}${found === undefined ? "" : `: ${found}`}`);
      } catch (error) {
        failures += 1;
        console.log(`FAILED  ${name}: ${error.message}`);
      }
    },
    end: () => {
      console.log(failures === 0 ? "all passed" : `${failures} failed`);
      process.exitCode = failures === 0 ? 0 : 1;
    },
  };
};
