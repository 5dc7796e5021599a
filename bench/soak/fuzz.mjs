/**
 * Tests thousands of hostile inputs in each class: configurations, texts, checkpoints, command lines. The program may
 * accept a case, or refuse it with one short line. The program must not crash, hang, waste memory or report a bug. It
 * must change only files that the command names as output.
 * A child process tests one case after the other. This process watches the child's time and memory. If a case ends the
 * child, this process starts a new child.
 */
import { fork } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createFindings } from "./lib/findings.mjs";
import { excerpt } from "./lib/judge.mjs";

export const fuzzClasses = /** @type {const} */ (["configuration", "text", "checkpoint", "flags"]);

const longestMs = 5000;
/** Time limit for the work before the first case: training a run and trying undamaged cases. */
const longestPreparationMs = 60_000;
/**
 * Memory that a case may use in addition to two amounts: the memory of an undamaged case, and twice the size of its
 * files.
 */
const spareBytes = 200 * 2 ** 20;
/** A case that uses more memory is ended, before it uses all memory of the machine. */
const mostResident = 3 * 2 ** 30;

/**
 * Files in this folder are in memory, so cases that save do not wait for a disk. If the system has no such folder, the
 * usual temporary folder is used.
 */
const scratch = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

const child = fileURLToPath(new URL("./fuzz/child.mjs", import.meta.url));

/** Resident memory of a process in bytes; 0 if the system does not report it. */
const residentOf = (pid) => {
  try {
    return 1024 * Number(/VmRSS:\s+(\d+) kB/u.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
};

/**
 * Tests the cases `from` to `to`, until a case ends the child.
 * @returns {Promise<number>} the next case
 */
const runChild = (options, onCase) =>
  new Promise((resolve, reject) => {
    const { name, seed, from, to } = options;
    const folder = mkdtempSync(join(scratch, `foretoken-fuzz-${name}-`));
    const process_ = fork(child, [name, String(seed), String(from), String(to), folder], {
      execArgv: ["--expose-gc"],
      // The child does not read files of the user, and does not keep files.
      env: { ...process.env, HOME: folder, XDG_CACHE_HOME: folder, FORETOKEN_CORPORA: folder, LC_ALL: "C.UTF-8" },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let current = from;
    let startedAt = 0;
    const begunAt = performance.now();
    let ready = false;
    let killed = "";
    let lastWords = "";
    /** The current case, if the child has reported it. */
    let about = "";
    process_.stderr?.setEncoding("utf8").on("data", (text) => {
      lastWords = (lastWords + text).slice(-4000);
    });
    const watch = setInterval(() => {
      if (killed !== "") return;
      if (startedAt === 0) {
        if (!ready && performance.now() - begunAt > longestPreparationMs) process_.kill("SIGKILL");
        return;
      }
      if (performance.now() - startedAt > longestMs) killed = `hangs: not done after ${longestMs / 1000} s`;
      else if (residentOf(process_.pid) > mostResident) killed = "memory: more than 3 GiB";
      if (killed !== "") process_.kill("SIGKILL");
    }, 100);
    process_.on("message", (/** @type {any} */ message) => {
      ready = true;
      if (message.type === "start") {
        current = message.number;
        startedAt = performance.now();
        about = "";
        return;
      }
      if (message.type === "note") {
        about = excerpt(message.about);
        return;
      }
      startedAt = 0;
      if (message.type === "failed") {
        process_.kill("SIGKILL");
        reject(new Error(message.detail));
        return;
      }
      const { number, refused, failure, grown, allowance, what } = message;
      const took = grown > allowance + spareBytes;
      const memory = {
        cause: "memory: more than 200 MiB above an undamaged case",
        detail: `${(grown / 2 ** 20).toFixed()} MiB: ${about}`,
      };
      onCase({ number, refused, what, failure: failure ?? (took ? memory : undefined), isMeasured: !failure && took });
      current = number + 1;
    });
    process_.on("close", (status, signal) => {
      clearInterval(watch);
      rmSync(folder, { recursive: true, force: true });
      if (startedAt !== 0) {
        const ended = signal ?? `exit status ${status}`;
        onCase({
          number: current,
          refused: false,
          what: "",
          isMeasured: killed !== "",
          failure: {
            cause: killed === "" ? `ends the process: ${ended}` : killed,
            detail: `${about} ${excerpt(lastWords.trim().split("\n")[0] ?? "")}`,
          },
        });
        resolve(current + 1);
      } else if (current <= to) reject(new Error(`fuzz ${name}: the child ended before case ${current}: ${lastWords}`));
      else resolve(current);
    });
  });

/**
 * @param {{ cases: number, seed: number, classes: readonly string[], only?: number | undefined }} options
 * @returns {Promise<{ failed: number, classes: Record<string, object> }>}
 */
export const fuzz = async ({ cases, seed, classes, only }) => {
  const results = {};
  let failed = 0;
  console.log(`fuzz: seed ${seed}`);
  for (const name of classes) {
    const findings = createFindings(
      (number) => `node bench/soak/main.mjs --part fuzz --classes ${name} --seed ${seed} --only ${number}`,
    );
    let refused = 0;
    let ran = 0;
    const [first, last] = only === undefined ? [1, cases] : [only, only];
    for (let from = first; from <= last; ) {
      const doubtful = [];
      const judge = (one) => {
        ran++;
        if (one.refused) refused++;
        if (one.failure !== undefined) findings.add(one.number, one.failure);
        if (only !== undefined)
          console.log(`  ${one.what}: ${one.failure?.detail ?? (one.refused ? "refused" : "works")}`);
      };
      from = await runChild({ name, seed, from, to: last }, (one) => {
        if (one.isMeasured) doubtful.push(one.number);
        else judge(one);
      });
      // Measures time and memory again in a new process. The machine may have been busy, or garbage may not have been
      // collected.
      for (const number of doubtful) await runChild({ name, seed, from: number, to: number }, judge);
    }
    findings.print();
    failed += findings.count();
    results[name] = { cases: ran, refused, failed: findings.count(), causes: findings.causes() };
    console.log(`fuzz ${name}: ${ran} cases, ${refused} refused, ${findings.count()} failed`);
  }
  return { failed, classes: results };
};
