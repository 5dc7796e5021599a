/**
 * `foretoken doctor`: checks this machine and its backends. If the user names a run or a model, its files are checked
 * too. The checks call the same code as training and generation.
 */
import type { Backend, BackendName } from "../backend/backend.ts";
import type { BackendChoice } from "../backend/choices.node.ts";
import { buildCommand } from "../backend/implementations/native/native.node.ts";
import { describeBackends, openBackend } from "../backend/select.node.ts";
import { type FreeMemory, freeMemory } from "../core/system/available-memory.node.ts";
import { type MachineFacts, machineFacts } from "../core/system/machine-facts.node.ts";
import { formatPlural } from "../core/text/format-numbers.ts";
import { runsFolder } from "../runs/folder-names.ts";
import { type BrokenBackend, backendsToCheck, type CheckedBackend, type Open } from "./backends.node.ts";
import { type Check, type CheckResult, ok, resultOf, type Verdict } from "./check.ts";
import { fileChecks } from "./files.node.ts";
import { kernelChecker } from "./kernels/agreement.ts";
import { memoryVerdict, runsFolderVerdict } from "./machine/resources.node.ts";
import { softwareChecks } from "./machine/software.node.ts";
import { checkDecoding } from "./model/decoding.ts";
import { gradientChecker } from "./model/gradients.ts";
import { checkMask } from "./model/mask.ts";
import { checkAccumulation, checkDeterminism } from "./model/steps.ts";
import { type PresetSpeed, presetSpeeds, speedVerdict } from "./speed/presets.ts";
import { measureRates, type Rates } from "./speed/rates.ts";

/** Arguments of `examine`. */
export interface Examination {
  /** A run's folder, a model's directory, a GGUF file or `hf:org/name`. */
  readonly model?: string | undefined;
  /** Folder of runs. Default: `runs`. */
  readonly runs?: string | undefined;
  /** Backend to check. Default: `auto` (native and WebAssembly). */
  readonly backend?: BackendChoice | undefined;
  readonly threads?: number | undefined;
  /** Opens backends. Default: `openBackend`. */
  readonly open?: Open | undefined;
  /** Returns the free memory. Default: asks the system. */
  readonly memory?: (() => FreeMemory) | undefined;
}

/** Measured rates of the backend that is used for training. */
export interface MeasuredRates extends Rates {
  readonly backend: BackendName;
  readonly instructionSet: string;
  readonly threads: number;
  readonly dtype: string;
}

/** Report of all checks. */
export interface DoctorReport {
  /** Whether all checks passed. Warnings do not count as failures. */
  readonly ok: boolean;
  readonly machine: MachineFacts;
  readonly checks: readonly CheckResult[];
  /** Null if the speed could not be measured. */
  readonly rates: MeasuredRates | null;
  /** Expected training speed of each preset. The preset with the shortest step comes first. */
  readonly presets: readonly PresetSpeed[];
  readonly seconds: number;
}

/** Progress of the examination. */
export type DoctorEvent =
  | { readonly type: "begin"; readonly name: string }
  | { readonly type: "result"; readonly result: CheckResult }
  | { readonly type: "report"; readonly report: DoctorReport };

/** A check's name, with its backend if it has one. */
export const titleOf = ({ name, backend }: Pick<Check, "name" | "backend">): string =>
  backend === null ? name : `${backend}: ${name}`;

const adviceFor = (name: BackendName): string => {
  if (name === "native")
    return `to compute without these kernels, set FORETOKEN_NO_NATIVE=1; to build them again: ${buildCommand()}`;
  if (name === "wasm")
    return "use --backend native or --backend reference; if possible, try another version of Node.js";
  return "install Foretoken again; if the check still fails, test this machine's memory";
};

/** Creates the checks of a backend. Results of the reference are computed once for all backends. */
const computingChecks = () => {
  const kernels = kernelChecker();
  const gradients = gradientChecker();
  return ({ name, forms, exact, threads }: CheckedBackend): readonly Check[] => {
    const advice = adviceFor(name);
    const check = (of: string, run: () => Promise<Verdict>): Check => ({ name: of, backend: name, advice, run });
    return [
      check("kernels", async () => {
        const opened: Backend[] = [];
        try {
          for (const form of forms) opened.push(await form.open(1));
          return await kernels(
            forms.map(({ words }, i) => [words, opened[i] as Backend] as const),
            advice,
          );
        } finally {
          for (const backend of opened) await backend.close();
        }
      }),
      check("gradients", () => gradients(exact, advice)),
      check("accumulation", () => checkAccumulation(exact, advice)),
      check("causal mask", () => checkMask(forms, advice)),
      check("decoding", () => checkDecoding(forms, advice)),
      check("determinism", () => checkDeterminism(forms, threads, advice)),
    ];
  };
};

/** The only check of a backend that cannot be opened. */
const brokenCheck = ({ name, error }: BrokenBackend): Check => ({
  ...{ name: "opens", backend: name, advice: adviceFor(name) },
  run: () => Promise.reject(error),
});

const gigas = (perSecond: number): string => {
  const value = perSecond / 1e9;
  return value < 9.95 ? value.toFixed(1) : String(Math.round(value));
};

const ratesText = ({ flopsPerSecond, bytesPerSecond, instructionSet, threads, dtype }: MeasuredRates): string =>
  `products ${gigas(flopsPerSecond)} GFLOP/s, memory ${gigas(bytesPerSecond)} GB/s (${instructionSet}, ${formatPlural(threads, "thread")}, ${dtype})`;

/**
 * Runs all checks one after the other and yields each result. The report comes last.
 * @throws ConfigError, CheckpointError or UnsupportedKernelError for a mistake in the arguments, before any check runs.
 */
export async function* examine({
  model,
  runs = runsFolder,
  backend: choice = "auto",
  threads,
  open = openBackend,
  memory = freeMemory,
}: Examination = {}): AsyncGenerator<DoctorEvent, void, undefined> {
  const began = performance.now();
  const described = await describeBackends();
  const backends = await backendsToCheck(open, described, choice, threads);
  const ofFiles = model === undefined ? [] : await fileChecks(model);
  const checks: CheckResult[] = [];
  async function* make(all: readonly Check[]): AsyncGenerator<DoctorEvent, void, undefined> {
    for (const check of all) {
      yield { type: "begin", name: titleOf(check) };
      const result = await resultOf(check);
      checks.push(result);
      yield { type: "result", result };
    }
  }

  const trains = backends.find((one) => !("error" in one))?.name ?? "reference";
  const openTraining = (): Promise<Backend> => open(trains, { threads, dtype: "auto", manyRows: true });
  const first = await openTraining();
  const kind = { ...first.capabilities, name: trains };
  await first.close();
  const free = memory();
  const check = (name: string, backend: string | null, advice: string, run: () => Promise<Verdict>): Check => ({
    ...{ name, backend, advice, run },
  });
  yield* make([
    ...softwareChecks(described),
    check("memory", null, "close other programs", () => memoryVerdict(free, kind)),
    check("runs folder", null, "use another folder: --runs for doctor, and --out for train", () =>
      runsFolderVerdict(runs),
    ),
    ...ofFiles,
  ]);
  const computing = computingChecks();
  for (const backend of backends) yield* make("error" in backend ? [brokenCheck(backend)] : computing(backend));

  let rates: MeasuredRates | null = null;
  const presets: PresetSpeed[] = [];
  const training = await openTraining();
  try {
    const advice = adviceFor(trains);
    yield* make([
      check("speed", trains, advice, async () => {
        const { instructionSet, threads: count, dtype } = training.capabilities;
        rates = { ...(await measureRates(training)), backend: trains, instructionSet, threads: count, dtype };
        return ok(ratesText(rates));
      }),
    ]);
    const speeds = rates === null ? undefined : presetSpeeds(training, rates, free.bytes);
    for (let isOver = speeds === undefined; !isOver; ) {
      const name = "speed of training";
      yield { type: "begin", name };
      let speed: PresetSpeed | undefined;
      const result = await resultOf(
        check(name, null, advice, async () => {
          const next = await speeds?.next();
          if (next === undefined || next.done === true) return ok("");
          speed = next.value;
          return speedVerdict(speed, free.bytes);
        }),
      );
      isOver = speed === undefined;
      if (speed !== undefined) presets.push(speed);
      // Without a speed and without an error, the speeds of all presets have been measured.
      if (speed === undefined && result.status === "ok") continue;
      const named = speed === undefined ? result : { ...result, name: `speed: ${speed.preset}` };
      checks.push(named);
      yield { type: "result", result: named };
    }
  } finally {
    await training.close();
  }
  const report = {
    ...{ ok: checks.every(({ status }) => status !== "failed"), machine: machineFacts(), checks, rates, presets },
    seconds: (performance.now() - began) / 1000,
  };
  yield { type: "report", report };
}
