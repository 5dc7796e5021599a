/** Trainings on parts of a text, each in its own process: see bench/peers/text_setting.mjs. */
import { spawn } from "node:child_process";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../peers/text_setting.mjs", import.meta.url));

/**
 * Trains with one setting: {"file", "config", "shares", "threads", "dtype"}. With "characters", only a part of the file
 * is used.
 */
export const trainSetting = (request) =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, JSON.stringify(request)], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (piece) => (output += piece));
    child.on("error", reject);
    child.on("close", (status) =>
      status === 0 ? resolve(JSON.parse(output)) : reject(new Error(`a training ended with status ${status}`)),
    );
  });

/** Results in a file of JSON lines. A stopped comparison resumes with this file. */
export const resultsIn = (file, keyOf) => {
  const lines = file === undefined || !existsSync(file) ? [] : readFileSync(file, "utf8").split("\n");
  const known = new Map(lines.filter((line) => line !== "").map((line) => [keyOf(JSON.parse(line)), JSON.parse(line)]));
  return {
    get: (plan) => known.get(keyOf(plan)),
    has: (plan) => known.has(keyOf(plan)),
    add(result) {
      known.set(keyOf(result), result);
      if (file !== undefined) appendFileSync(file, `${JSON.stringify(result)}\n`);
    },
  };
};

/** Calls `work` for each plan. At most `jobs` calls are active at the same time. */
export const inJobs = async (jobs, plans, work) => {
  const waiting = [...plans];
  const one = async () => {
    for (let plan = waiting.shift(); plan !== undefined; plan = waiting.shift()) await work(plan);
  };
  await Promise.all(Array.from({ length: jobs }, one));
};
