/**
 * Kills a real training run at random moments, with every kind of signal. Every second kill is during a save. After
 * each kill, the run is resumed and then killed again. At the end, its weights, moments and best weights must have the
 * same bits as in a run without kills. `metrics.jsonl` must have the same lines.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeBackends } from "../../dist/backend/select.node.js";
import { createFindings } from "./lib/findings.mjs";
import { differenceOf } from "./lib/folder.mjs";
import { failure } from "./lib/judge.mjs";
import { start } from "./lib/processes.mjs";
import { randomOf } from "./lib/random.mjs";
import { configFlags, smallConfig, wordsText } from "./lib/small-run.mjs";

const preload = new URL("./lib/kill-preload.mjs", import.meta.url).href;

/** SIGSTOP means three signals: stop, continue, kill. */
const signals = /** @type {const} */ ([
  "SIGKILL",
  "SIGINT",
  "SIGTERM",
  "SIGHUP",
  "SIGQUIT",
  "SIGABRT",
  "SIGUSR2",
  "SIGSTOP",
]);
/** Exit statuses of a run that saved its state after a signal and then ended. */
const graceful = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGQUIT: 131 };

const interval = 5;
/** Maximum number of saves before a kill. The kill interrupts the last save. */
const savesPerLife = 2;

/** The state of a process as a letter, see proc(5). It is "" if the system does not report the state. */
const stateOf = (pid) => {
  try {
    return /\) (\S)/u.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1] ?? "";
  } catch {
    return "";
  }
};

const send = (child, signal) => {
  child.kill(signal);
  if (signal !== "SIGSTOP") return;
  // No event reports that the process has stopped. The stop takes microseconds.
  for (let looks = 0; looks < 10_000 && !["T", ""].includes(stateOf(child.pid)); looks++);
  child.kill("SIGCONT");
  child.kill("SIGKILL");
};

/** Sends `signal` when the process has done this number of steps and a part of the next step. */
const killAfterSteps = (child, steps, signal, pieces) => {
  let seen = 0;
  let sent = false;
  let rest = "";
  child.stdout.on("data", (piece) => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.includes('"type":"step"')) seen++;
      if (sent || seen < steps) continue;
      sent = true;
      // Waits for a few turns of this process's event loop. The other process is then at a random place in its step, or
      // in the work after the step.
      const wait = (left) => (left === 0 ? send(child, signal) : setImmediate(wait, left - 1));
      wait(pieces);
    }
  });
};

const killBackend = async (backend, { kills, seed, place, findings }) => {
  mkdirSync(place);
  writeFileSync(join(place, "text.txt"), wordsText("kill", 300));
  const recipe = { ...smallConfig.train, evalInterval: 4 * interval, checkpointInterval: interval };
  // The number of steps is enough for the maximum number of steps before each kill, and for some more steps at the end.
  const steps = kills * savesPerLife * interval + 4 * interval;
  const config = { ...smallConfig, train: { ...recipe, steps } };
  const running = ["--backend", backend, "--threads", "2", "--json"];
  const begin = (out) => [
    "train",
    "--preset",
    "book",
    ...configFlags(config),
    "--data",
    "text.txt",
    "--out",
    out,
    ...running,
  ];
  const log = join(place, "saves.json");
  const whole = await start(begin("whole"), {
    cwd: place,
    preload,
    env: { FORETOKEN_SOAK_KILL: JSON.stringify({ log }) },
  });
  if (whole.status !== 0) throw new Error(`kill ${backend}: the run without a kill fails: ${whole.stderr}`);
  const { calls, saves } = JSON.parse(readFileSync(log, "utf8"));
  const callsPerSave = Math.floor(calls / saves);
  const run = join(place, "run");
  const random = randomOf(seed, "kill", backend);
  const counts = {};
  let done = 0;
  let inSaves = 0;
  let again = 0;
  let killed = 0;
  for (let life = 1; killed < kills && life <= 3 * kills; life++) {
    const signal = random.pick(signals);
    const inSave = life % 2 === 0;
    const call = random.between(1, callsPerSave * savesPerLife);
    const stepsBefore = random.below(savesPerLife * interval + 1);
    const pieces = random.below(40);
    const resumes = existsSync(join(run, "run.json"));
    if (resumes) again++;
    const args = resumes ? ["train", "--resume", "run", ...running] : begin("run");
    const ended = await start(args, {
      cwd: place,
      ...(inSave ? { preload, env: { FORETOKEN_SOAK_KILL: JSON.stringify({ call, signal }) } } : {}),
      ...(inSave ? {} : { onStart: (child) => killAfterSteps(child, stepsBefore, signal, pieces) }),
    });
    const what = `${signal} ${inSave ? `at call ${call} of saves` : `after ${stepsBefore} steps`}, ${resumes ? "resumed" : "begun"}`;
    const expected = signal === "SIGSTOP" ? "SIGKILL" : signal;
    if (ended.signal === expected || (ended.status !== null && ended.status === graceful[signal])) {
      killed++;
      counts[signal] = (counts[signal] ?? 0) + 1;
      if (inSave) inSaves++;
      continue;
    }
    if (ended.status === 0) {
      done++;
      // The process ended before the signal.
      if (/"reason":"finished"/u.test(ended.stdout)) break;
      continue;
    }
    findings.add(
      life,
      failure(
        `${backend}: ${resumes ? "a killed run is not resumed" : "a run does not begin"}`,
        `${what}: status ${ended.status}, ${ended.signal}: ${ended.stderr}`,
      ),
    );
    // If a run cannot be resumed, it is begun again, so that the remaining kills are also tested.
    rmSync(run, { recursive: true, force: true });
  }
  const resumed = existsSync(join(run, "run.json"));
  const last = await start(resumed ? ["train", "--resume", "run", ...running] : begin("run"), { cwd: place });
  const complete = last.status === 2 && /have steps left|finished|complete/u.test(last.stderr);
  if (last.status !== 0 && !complete) findings.add(0, failure(`${backend}: the run does not end`, last.stderr));
  else {
    try {
      const difference = differenceOf(run, join(place, "whole"));
      if (difference !== undefined) findings.add(0, failure(`${backend}: the run ends in other bits`, difference));
    } catch (error) {
      findings.add(0, failure(`${backend}: the run is not whole`, error.message));
    }
  }
  const list = Object.entries(counts)
    .map(([signal, times]) => `${signal} ${times}`)
    .join(", ");
  console.log(
    `kill ${backend}: ${killed} kills (${list}), ${inSaves} of them inside a save, in a run of ${steps} steps and ${saves} saves of ${callsPerSave} calls; resumed ${again} times${done === 0 ? "" : `, ${done} lives ended first`}`,
  );
  return { kills: killed, inSaves, resumed: again, signals: counts };
};

/** @param {{ kills: number, seed: number }} options `kills`: number for each backend. */
export const kill = async ({ kills, seed }) => {
  const place = mkdtempSync(join(tmpdir(), "foretoken-kill-"));
  const findings = createFindings(() => `node bench/soak/main.mjs --part kill --kills ${kills} --seed ${seed}`);
  const backends = {};
  try {
    const there = (await describeBackends()).backends.filter(({ available }) => available);
    for (const backend of ["native", "wasm"]) {
      if (!there.some(({ name }) => name === backend)) {
        console.log(`kill ${backend}: not available`);
        continue;
      }
      backends[backend] = await killBackend(backend, { kills, seed, place: join(place, backend), findings });
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
  findings.print();
  const total = Object.values(backends).reduce((sum, one) => sum + one.kills, 0);
  console.log(`kill: ${total} kills on ${Object.keys(backends).join(" and ")}, ${findings.count()} failed`);
  return { failed: findings.count(), backends, causes: findings.causes() };
};
