/** Real backends. Each backend has one planted fault. */
import type { Backend, View } from "#foretoken/backend/backend.js";
import { kernelPlans } from "#foretoken/backend/calls/check.js";
import { holdsIntegers } from "#foretoken/backend/kernels/signature.js";
import { openBackend } from "#foretoken/backend/select.node.js";
import type { Form } from "#foretoken/doctor/model/forms.js";

/** The arguments of a call of any kernel, by name. */
export type Args = Readonly<Record<string, unknown>>;

/** Called instead of the backend's `run`. The argument `run` is the original function of the backend. */
export type Fault = (kernel: string, args: Args, run: (kernel: string, args: Args) => void, inner: Backend) => void;

/** The backend `inner`, with a fault. */
export const faulty = (inner: Backend, fault: Fault): Backend => {
  const run = (kernel: string, args: Args): void => inner.run(kernel as "add", args as never);
  return { ...inner, run: (kernel, args) => fault(kernel, args as unknown as Args, run, inner) };
};

/** WebAssembly with a fault that appears only if there are at least this number of threads. */
export const faultyForm = (fault: Fault, fromThreads = 1): Form => ({
  words: "float32",
  async open(threads) {
    const inner = await openBackend("wasm", { threads });
    return threads < fromThreads ? inner : faulty(inner, fault);
  },
});

/** In each buffer that is only an output, every kernel writes a wrong last element. */
export const wrongLastElement: Fault = (kernel, args, run, inner) => {
  run(kernel, args);
  const { buffers, lengths } = kernelPlans[kernel as "add"];
  const needed = lengths(args as Readonly<Record<string, number>>);
  for (const [name, spec] of buffers) {
    const view = args[name] as View | null;
    const length = needed[name] ?? 0;
    if (view === null || spec.access === "in" || length === 0) continue;
    inner.write(view.storage, holdsIntegers(spec) ? Int32Array.of(7) : Float32Array.of(77), view.offset + length - 1);
  }
};

/** The kernel writes an element after the end of its result. */
export const writesBehind = (which: string): Fault => {
  return (kernel, args, run, inner) => {
    run(kernel, args);
    if (kernel !== which) return;
    const view = args.y as View;
    inner.write(view.storage, Float32Array.of(0), view.offset + Number(args.n));
  };
};

/** Gradients of weights have the wrong sign. */
export const wrongSign: Fault = (kernel, args, run, inner) => {
  if (kernel !== "linearBackwardWeight") return run(kernel, args);
  const length = Number(args.m) * Number(args.n);
  const y: View = { storage: inner.alloc("float32", length), offset: 0 };
  run("combine", { a: args.dy, b: args.dy, y, unreal: null, n: length, alpha: -1, beta: 0 });
  run(kernel, { ...args, dy: y });
  inner.free(y.storage);
};

/** Attention sees all keys. */
export const leak: Fault = (kernel, args, run) =>
  run(kernel, kernel === "attentionForward" ? { ...args, causal: 0 } : args);

/** Keys and values of one position are not written into the cache. */
export const forgetsOne = (): Fault => {
  let placed = 0;
  return (kernel, args, run) => {
    if (kernel === "placeRows" && ++placed === 3) return;
    run(kernel, args);
  };
};

/** Updates are too large by one millionth. */
export const otherBits: Fault = (kernel, args, run) =>
  run(kernel, kernel === "adamStep" ? { ...args, stepSize: Number(args.stepSize) * 1.000001 } : args);

/** The gradients of micro-batches are not added. */
export const forgetsToAdd: Fault = (kernel, args, run) => {
  if (kernel !== "add") run(kernel, args);
  else run("combine", { ...args, unreal: null, alpha: 1, beta: 0 });
};
