/** Finds the first tensor that goes bad in a step, by making the step again and looking at all that each kernel writes. */
import { readTensor } from "../../autograd/tensor.ts";
import type { Backend, Storage, View } from "../../backend/backend.ts";
import { kernelPlans } from "../../backend/calls/check.ts";
import { holdsIntegers } from "../../backend/kernels/signature.ts";
import { firstNotFinite } from "../../core/finite.ts";
import type { ArenaLayout } from "../../models/arena.ts";
import type { StepMeasure, StepObserver, StepPhase, Trainer } from "../steps/trainer.ts";

/** What a finding begins with where no tensor is bad. */
export const allFinite = "no tensor: ";

/** What the recorder finds. */
export interface Finding {
  readonly measured: StepMeasure;
  /**
   * The first tensor that is not finite, in words: a weight before the step, or the output of a kernel with its number of
   * elements, the way it ran on and the parameter that took part. Where all is finite, the largest gradient's parameter.
   */
  readonly tensor: string;
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
  /** Took part in the call, or where none did, in the last call before in which one did. */
  readonly parameter: string | undefined;
  readonly isOwn: boolean;
}

const inWords = ({ kernel, buffer, elements, phase, parameter, isOwn }: Output): string => {
  const where = parameter === undefined ? "" : isOwn ? `, ${parameter}` : `, after ${parameter}`;
  return `${kernel}.${buffer} [${elements}], ${phase}${where}`;
};

/** Elements that are looked at with one call. */
const chunk = 2 ** 18;
/** Flags in one storage. */
const flagsPerStorage = 1024;

/** Looks at each output of each kernel, and keeps a flag of it in the backend's memory. */
const createWatch = (backend: Backend, { model, gradientStorages }: Trainer) => {
  const scratch = backend.alloc("float32", chunk);
  const flags: Storage[] = [];
  const outputs: Output[] = [];
  const parameterStorages = [model.arena.storage, ...gradientStorages, model.rounded()?.storage];
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
      ? model.layout.parameters.find((one) => offset >= one.offset && offset < one.offset + one.size)?.name
      : undefined;

  /** Sets the flag where an element is not finite: 0 · x is 0 for all others. */
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
      // Rows with gaps between them: nothing says what is in the gaps. No step copies such.
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
    /** The first output that was not finite. */
    async firstBad(): Promise<string | undefined> {
      for (const [i, storage] of flags.entries()) {
        const found = (await backend.read(storage)).findIndex((flag) => flag !== 0);
        const output = found < 0 ? undefined : outputs[i * flagsPerStorage + found];
        if (output !== undefined) return inWords(output);
      }
      return undefined;
    },
    close(): void {
      for (const storage of [scratch, ...flags]) backend.free(storage);
    },
  };
};

/**
 * Makes the measuring part of a step again: no weight and no moment changes.
 * @param backend the trainer's, as it was given.
 * @param values the weights.
 */
export const findBad = async (
  backend: Backend,
  trainer: Trainer,
  step: number,
  values: Float32Array,
): Promise<Finding> => {
  const { layout } = trainer.model;
  const weight = firstBadParameter(layout, values);
  if (weight !== undefined) {
    return { measured: await trainer.measure(step), tensor: `weight ${weight}, before the step` };
  }
  const watch = createWatch(backend, trainer);
  try {
    const measured = await trainer.measure(step, watch.observer);
    const bad = await watch.firstBad();
    if (bad !== undefined) return { measured, tensor: bad };
    const { storage } = trainer.gradients.arena;
    const gradients = await readTensor(backend, { storage, offset: 0, shape: [layout.length] });
    return { measured, tensor: `${allFinite}all finite, largest gradient ${largestParameter(layout, gradients)}` };
  } finally {
    watch.close();
  }
};
