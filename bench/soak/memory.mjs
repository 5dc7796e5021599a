/**
 * Trains for a long time, with evaluations and checkpoints, and watches two parts of the memory. One part is the used
 * heap of the JavaScript engine. The other part is the process's resident set without this heap. The two parts must not
 * grow after the first twentieth of the steps. The reserved part of the heap does not count, because the engine decides
 * how much it reserves. The engine's young generation grows gradually to twice 16 MiB, sometimes only after minutes.
 * Prints the memory after each tenth of the steps, and the increase of each part's minimum. It also prints how the
 * memory is used after a fifth of the steps and at the end. The exit status is 1 if a minimum increases by more than 1
 * MiB. The engine's compiler may still use 1 MiB.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getHeapStatistics } from "node:v8";
import { train } from "../../dist/train/train.node.js";
import { runConfig } from "../lib/configs.mjs";
import { floorRise, residentByKind } from "../lib/resident-memory.mjs";
import { count, mebibytes, textTable } from "../lib/statistics.mjs";

const allowedRise = 2 ** 20;
/** Number of memory samples in the whole run. */
const samples = 200;
/**
 * Number of evaluations. A checkpoint follows each evaluation. Some evaluations are in the first twentieth of the
 * steps, which does not count.
 */
const evaluations = 80;

/**
 * @param {{ config: string, steps: number, backend: string, dtype: string, threads: number }} options
 */
export const memory = async ({ config: name, steps, backend, dtype, threads }) => {
  const folder = mkdtempSync(join(tmpdir(), "foretoken-soak-"));
  const { model, train: recipe } = runConfig(name);
  const interval = Math.max(1, Math.floor(steps / evaluations));
  const config = {
    model,
    train: {
      ...recipe,
      steps,
      dtype: /** @type {"auto" | "float32" | "bfloat16"} */ (dtype),
      evalInterval: interval,
      checkpointInterval: interval,
    },
  };

  const every = Math.floor(steps / samples);
  /** @type {{ step: number, resident: number, outside: number, used: number }[]} */
  const taken = [];
  /** @type {ReturnType<typeof residentByKind>[]} */
  const kinds = [];
  let started;
  for await (const event of train({
    preset: "book",
    config,
    // Each evaluation is short, because there are many evaluations.
    valFraction: 0.01,
    out: join(folder, "run"),
    backend: /** @type {"auto" | "native" | "wasm" | "reference"} */ (backend),
    threads,
    finalSampleTokens: 0,
    onNotice: console.error,
  })) {
    if (event.type === "start") {
      started = event;
      console.log(
        `${name} on ${event.corpus}: ${event.backend} (${event.instructionSet}), ${event.dtype}, ${event.threads} threads`,
      );
    }
    if (event.type === "step" && event.step % every === 0) {
      const resident = process.memoryUsage.rss();
      const { total_physical_size: reserved, used_heap_size: used } = getHeapStatistics();
      taken.push({ step: event.step, resident, outside: resident - reserved, used });
    }
    if (event.type === "step" && (event.step === Math.floor(steps / 5) || event.step === steps))
      kinds.push(residentByKind());
  }
  const counted = taken.filter(({ step }) => step > steps / 20);
  const rises = {
    outside: floorRise(counted.map(({ outside }) => outside)),
    used: floorRise(counted.map(({ used }) => used)),
  };
  const tenths = taken.filter((_, i) => (i + 1) % (samples / 10) === 0);
  const shown = [taken[0], ...tenths].map(({ step, resident, outside, used }) => [
    count(step),
    ...[resident, outside, used].map(mebibytes),
  ]);
  process.stdout.write(textTable([["step", "resident", "outside the heap", "used of the heap"], ...shown]));
  const [fifth, end] = kinds;
  if (fifth && end) {
    const names = /** @type {(keyof typeof end)[]} */ (Object.keys(end));
    const rows = names.map((name) => [
      name,
      mebibytes(fifth[name]),
      mebibytes(end[name]),
      mebibytes(end[name] - fifth[name]),
    ]);
    process.stdout.write(
      textTable([["resident for", `step ${count(Math.floor(steps / 5))}`, `step ${count(steps)}`, "more"], ...rows]),
    );
  }
  const grew = Math.max(rises.outside, rises.used) > allowedRise;
  const [outside, used] = [rises.outside, rises.used].map((rise) => (rise / 2 ** 20).toFixed(2));
  console.log(
    `memory ${grew ? "grew" : "did not grow"}: from the first to the last quarter of steps ${count(counted[0].step)} to ${count(steps)} its floor rose by ${outside} MiB outside the engine's heap, and by ${used} MiB of what is used of that`,
  );
  rmSync(folder, { recursive: true });
  const { backend: opened, instructionSet } = started;
  return {
    failed: grew ? 1 : 0,
    config: name,
    steps,
    backend: opened,
    instructionSet,
    dtype: started.dtype,
    threads,
    rises,
    kinds,
    taken,
  };
};
