/**
 * Measures how much slower a run is with a connected studio client. The studio trains one run, with and without a
 * client, in turn. The client reads the list of runs and the events of the run, but draws nothing.
 *
 *     node bench/studio-client.mjs [--rounds 24] [--seconds 4] [--preset quick] [--threads 2]
 *
 * Studio and client are separate processes. In a round, steps are counted for --seconds seconds with the client, and
 * for --seconds seconds without it. The order changes from round to round. In each round, the ratio is the time per
 * step with the client, divided by the time per step without it. Prints the median of the ratios, and the 95 % interval
 * of this median, which is valid for any distribution.
 */
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machine, machineLine } from "./lib/machine.mjs";
import { refuse, wholeNumber } from "./lib/options.mjs";
import { digits, median, medianInterval } from "./lib/statistics.mjs";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "24" },
    seconds: { type: "string", default: "4" },
    preset: { type: "string", default: "quick" },
    threads: { type: "string", default: "2" },
  },
});
const [rounds, seconds, threads] = ["rounds", "seconds", "threads"].map((flag) => wholeNumber(flag, values[flag]));
if (rounds < 6) refuse(`--rounds: must be at least 6, because the interval needs 6 rounds; got ${rounds}`);

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const folder = await mkdtemp(join(tmpdir(), "foretoken-bench-client-"));
await mkdir(join(folder, "runs"));
const args = ["studio", join(folder, "runs"), "--port", "0", "--threads", String(threads)];
const studio = spawn(process.execPath, [here("../dist/cli/main.js"), ...args], {
  stdio: ["ignore", "pipe", "inherit"],
});
const client = fork(here("./peers/studio_reader.mjs"));
try {
  let origin;
  for await (const line of createInterface({ input: studio.stdout })) {
    origin = /http:\/\/[\d.:]+/u.exec(line)?.[0];
    if (origin !== undefined) break;
  }
  studio.stdout.resume();
  const api = async (path, body) => {
    const headers = { "Content-Type": "application/json", Origin: origin };
    const init = body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) };
    const response = await fetch(`${origin}/api/v1/${path}`, init);
    const answer = await response.json();
    if (!response.ok) throw new Error(`${path}: ${answer.error}`);
    return answer;
  };
  const ask = async (message) => {
    client.send(message);
    const [answer] = await once(client, "message");
    return answer;
  };
  const stepNow = async () => {
    const { runs } = await api("runs");
    return { step: runs[0].step, at: performance.now() };
  };
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const timePerStep = async () => {
    const from = await stepNow();
    await pause(1000 * seconds);
    const to = await stepNow();
    return (to.at - from.at) / (to.step - from.step);
  };

  const text = { kind: "given", name: "cat.txt", text: "The cat sat on a mat.\nSo it sat.\n".repeat(3000) };
  // The run has only steps, so that counts with and without the client can be compared.
  const train = { steps: 1_000_000, evalInterval: 1_000_000, checkpointInterval: 1_000_000, sampleTokens: 0 };
  await api("runs", { text, name: "run", preset: values.preset, config: { train } });
  await pause(3000);
  const times = { with: [], without: [] };
  let read = 0;
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? ["without", "with"] : ["with", "without"];
    for (const which of order) {
      if (which === "with") await ask({ origin, run: "run" });
      await pause(300);
      times[which].push(await timePerStep());
      if (which === "with") read += (await ask({ stop: true })).events;
    }
  }
  const ratios = times.with.map((time, round) => time / times.without[round]);
  const interval = medianInterval(ratios);
  console.log(machineLine(machine()));
  console.log(
    `${values.preset}, ${threads} threads, ${rounds} rounds of ${seconds} s: ${digits(median(times.without))} ms a step without a client, ` +
      `${digits(median(times.with))} ms with one that read ${read.toLocaleString("en-US")} events; ` +
      `ratio ${median(ratios).toFixed(3)}, 95 % ${interval.map((end) => end.toFixed(3)).join(" to ")}`,
  );
  await api("runs/run/stop", {});
} finally {
  client.kill();
  studio.kill("SIGTERM");
  await once(studio, "close");
  await rm(folder, { recursive: true });
}
