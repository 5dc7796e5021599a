/** Finds the first tensor of a step that is not finite: repeats the step and checks every output of every kernel. */
import { readTensor } from "../../autograd/tensor.ts";
import type { Backend, Storage, View } from "../../backend/backend.ts";
import { kernelPlans } from "../../backend/calls/check.ts";
import { holdsIntegers } from "../../backend/kernels/signature.ts";
import { firstNotFinite } from "../../core/tensors/finite.ts";
import type { ArenaLayout } from "../../models/arena.ts";
import { trainedPart } from "../../models/model.ts";
import type { StepMeasure, StepObserver, StepPhase, Trainer } from "../../trainer/trainer.ts";

/** The finding begins with this text if every tensor is finite. */
export const allFinite = "no tensor: ";

/** Result of the recorder. */
export interface Finding {
  readonly measured: StepMeasure;
  /**
   * Describes the first tensor that is not finite: either a weight before the step, or the output of a kernel. For an
   * output, it gives the number of elements, the phase of the step and the parameter of the kernel call. If all tensors
   * are finite, it gives the parameter with the largest gradient.
   */
  readonly tensor: string;
  /** Whether the fault is in this machine's own passes; false if only the sum over all machines is not finite. */
  readonly isOwn: boolean;
}

/** The first parameter with a value in `values` that is not finite. */
export const firstBadParameter = (layout: ArenaLayout, values: Float32Array): string | undefined =>
  layout.parameters.find(({ offset, size }) => firstNotFinite(values.subarray(offset, offset + size)) >= 0)?.name;

/** The parameter with the largest element. */
const largestParameter = (layout: ArenaLayout, values: ArrayLike<number>): string => {
  let name = "";
  let largest = -1;
  for (const parameter of layout.parameters) {
    for (let i = parameter.offset; i < parameter.offset + parameter.size; i++) {
      const size = Math.abs(values[i] as number);
      if (size <= largest) continue;
      largest = size;
      name = parameter.name;
    }
  }
  return name;
};

/** One output of one kernel. */
interface Output {
  readonly kernel: string;
  readonly buffer: string;
  readonly elements: number;
  readonly phase: StepPhase;
  /** Parameter of the call. A call without a parameter gets the parameter of the last call that had one. */
  readonly parameter: string | undefined;
  readonly isOwn: boolean;
}

const inWords = ({ kernel, buffer, elements, phase, parameter, isOwn }: Output): string => {
  const where = parameter === undefined ? "" : isOwn ? `, ${parameter}` : `, after ${parameter}`;
  return `${kernel}.${buffer} [${elements}], ${phase}${where}`;
};

/** Number of elements that one kernel call checks. */
const chunk = 2 ** 18;
/** Number of flags in one storage. */
const flagsPerStorage = 1024;

/** Checks each output of each kernel, and keeps one flag per output in the backend's memory. */
const createWatch = (backend: Backend, { model, gradientStorages }: Trainer) => {
  const scratch = backend.alloc("float32", chunk);
  const flags: Storage[] = [];
  const outputs: Output[] = [];
  const { layout, arena } = trainedPart(model);
  // The rounded copy of a model with adapters has another layout, so its offsets do not identify an adapter's
  // parameters.
  const rounded = model.adapter === null ? model.rounded()?.storage : undefined;
  const parameterStorages = [arena.storage, ...gradientStorages, rounded];
  let phase: StepPhase = "forward";
  let lastParameter: string | undefined;

  const nextFlag = (): View => {
    const offset = outputs.length % flagsPerStorage;
    if (offset === 0) {
      const storage = backend.alloc("float32", flagsPerStorage);
      flags.push(storage);
      backend.write(storage, new Float32Array(flagsPerStorage));
    }
    return { storage: flags.at(-1) as Storage, offset };
  };

  const parameterAt = ({ storage, offset }: View): string | undefined =>
    parameterStorages.includes(storage)
      ? layout.parameters.find((one) => offset >= one.offset && offset < one.offset + one.size)?.name
      : undefined;

  /** Sets the flag if an element x is not finite. Only then is 0 · x not 0. */
  const look = ({ storage, offset }: View, elements: number, unreal: View): void => {
    const y = { storage: scratch, offset: 0 };
    for (let done = 0; done < elements; done += chunk) {
      const n = Math.min(chunk, elements - done);
      let x: View = { storage, offset: offset + done };
      if (storage.dtype !== "float32") {
        backend.run("copyRows", { x, y, rows: 1, width: n, xStride: n, yStride: n });
        x = y;
      }
      backend.run("combine", { a: x, b: x, y, unreal, n, alpha: 0, beta: 0 });
    }
  };

  const observer: StepObserver = {
    phase(entered) {
      phase = entered;
    },
    kernel(kernel, args) {
      const { buffers, lengths } = kernelPlans[kernel];
      const given = args as Readonly<Record<string, unknown>>;
      // Skips rows with gaps between them: the content of a gap is undefined. No training step copies such rows.
      if (kernel === "copyRows" && given.rows !== 1 && given.yStride !== given.width) return;
      const sizes = lengths(given as Readonly<Record<string, number>>);
      const views = buffers.flatMap(([name, spec]) => {
        const view = given[name] as View | null | undefined;
        return view === null || view === undefined || holdsIntegers(spec) ? [] : [{ name, spec, view }];
      });
      const own = views.map(({ view }) => parameterAt(view)).find((name) => name !== undefined);
      lastParameter = own ?? lastParameter;
      for (const { name, spec, view } of views) {
        const elements = sizes[name] as number;
        if (spec.access === "in" || elements === 0) continue;
        look(view, elements, nextFlag());
        outputs.push({
          kernel,
          buffer: name,
          elements,
          phase,
          parameter: lastParameter,
          isOwn: own !== undefined,
        });
      }
    },
  };

  return {
    observer,
    /** Reads the flags and describes the first output that was not finite. */
    async firstBad(): Promise<Output | undefined> {
      for (const [i, storage] of flags.entries()) {
        const found = (await backend.read(storage)).findIndex((flag) => flag !== 0);
        const output = found < 0 ? undefined : outputs[i * flagsPerStorage + found];
        if (output !== undefined) return output;
      }
      return undefined;
    },
    close(): void {
      for (const storage of [scratch, ...flags]) backend.free(storage);
    },
  };
};

/**
 * Repeats the forward and backward passes of a step. Weights and moments do not change.
 * @param backend the backend that was passed to the trainer.
 * @param values the weights that are trained.
 */
export const findBad = async (
  backend: Backend,
  trainer: Trainer,
  step: number,
  values: Float32Array,
): Promise<Finding> => {
  const { layout } = trainedPart(trainer.model);
  const weight = firstBadParameter(layout, values);
  if (weight !== undefined) {
    return { measured: await trainer.measure(step), tensor: `weight ${weight}, before the step`, isOwn: true };
  }
  const watch = createWatch(backend, trainer);
  try {
    const measured = await trainer.measure(step, watch.observer);
    const bad = await watch.firstBad();
    if (bad !== undefined) return { measured, tensor: inWords(bad), isOwn: bad.phase !== "norm" };
    const { storage } = trainer.gradients.arena;
    const gradients = await readTensor(backend, { storage, offset: 0, shape: [layout.length] });
    const tensor = `${allFinite}all finite, largest gradient ${largestParameter(layout, gradients)}`;
    return { measured, tensor, isOwn: false };
  } finally {
    watch.close();
  }
};
