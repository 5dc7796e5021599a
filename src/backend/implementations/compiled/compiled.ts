/**
 * Code for both compiled backends, native and WebAssembly: storages that reuse freed memory, checks of calls, and
 * packets. A packet encodes a call as numbers (native/dispatch.h). The engine passes a packet to the kernels.
 */

import { ConfigError, ShapeError } from "../../../core/errors/errors.ts";
import type { ProductDType } from "../../../core/tensors/dtype.ts";
import type { Backend, BackendName, RecordedBranches, RecordedCalls, Storage, View } from "../../backend.ts";
import { checkCall, kernelPlans } from "../../calls/check.ts";
import type { KernelArgs, KernelName } from "../../kernels/kernels.ts";
import type { Engine } from "./engine.ts";
import { operandsNumber, packetLayout, writePacket } from "./packet.ts";
import { type CompiledStorage, compiledStorages, refusedByEngine } from "./storages.ts";

/** Equals kOutOfMemory in native/dispatch.h. */
export const outOfMemory = -2;

/**
 * Creates the backend `name` on top of `engine`. The engine's kernel table was already compared with kernels.ts.
 * @param manyRows as in `BackendOptions`
 */
export const compiledBackend = (
  name: BackendName,
  engine: Engine,
  dtype: ProductDType = "float32",
  manyRows = false,
): Backend => {
  const { packet } = engine;
  const layout = packetLayout(engine.limits);
  const tiles = engine.tiles && (dtype === "bfloat16" || manyRows) ? dtype : null;
  packet[layout.operands] = operandsNumber(dtype, tiles);
  const activations = dtype === "bfloat16" && engine.narrow ? "bfloat16" : "float32";
  const storages = compiledStorages({ name, activations }, engine);
  const { owner, alloc, free, write, read, view, bytesInUse, bytesHeld, isClosed } = storages;
  let closing: Promise<void> | undefined;
  let recording: Float64Array[] | undefined;

  const noScratch = (kernel: string): Error =>
    new ConfigError({
      where: `${name} backend`,
      must: `memory must suffice for the temporary memory of ${kernel}, in addition to ${bytesInUse()} bytes in use`,
      hint: "a smaller batch, context or model",
    });

  const run = <K extends KernelName>(kernel: K, args: KernelArgs<K, View>): void => {
    const lengths = checkCall(owner, kernel, args);
    const plan = kernelPlans[kernel];
    writePacket(packet, layout, plan, args as Readonly<Record<string, unknown>>, lengths);
    if (recording !== undefined) {
      recording.push(packet.slice(0, layout.length));
      return;
    }
    let outcome = engine.run();
    if (outcome === outOfMemory) {
      storages.releaseSpare();
      outcome = engine.run();
    }
    if (outcome === 0) return;
    if (outcome === outOfMemory) throw noScratch(kernel);
    const buffer = plan.buffers[outcome - 1]?.[0];
    throw buffer === undefined
      ? refusedByEngine(name, kernel)
      : new ShapeError({ where: kernel, must: `${buffer} must lie in live memory of the ${name} backend` });
  };

  const record = (work: () => void): RecordedCalls => {
    const calls: Float64Array[] = [];
    const outer = recording;
    recording = calls;
    try {
      work();
    } finally {
      recording = outer;
    }
    const numbers = new Float64Array(calls.length * layout.length);
    for (const [i, call] of calls.entries()) numbers.set(call, i * layout.length);
    return { owner, numbers };
  };

  const rerun = (maker: object, runRecorded: () => number): void => {
    const outcome = maker === owner && !isClosed() ? runRecorded() : 1;
    if (outcome === 0) return;
    if (outcome === outOfMemory) throw noScratch("a kernel");
    throw new ShapeError({
      where: "replay",
      must: `the calls must belong to this ${name} backend, and all buffers must be live and long enough`,
    });
  };

  const replay = ({ owner: maker, numbers }: RecordedCalls): void => rerun(maker, () => engine.runAll(numbers));

  const moved = ({ owner: maker, numbers: from }: RecordedCalls, to: ReadonlyMap<Storage, Storage>): RecordedCalls => {
    const handleOf = (storage: Storage): number => (storage as CompiledStorage).handle;
    const handles = new Map([...to].map(([one, other]) => [handleOf(one), handleOf(other)]));
    const numbers = from.slice();
    for (let call = 0; call < numbers.length; call += layout.length) {
      for (let at = call + 1; at < call + layout.firstInt; at += 3) {
        numbers[at] = handles.get(numbers[at] as number) ?? (numbers[at] as number);
      }
    }
    return { owner: maker, numbers };
  };

  const replayBeside = ({ owner: maker, numbers, ends, threads: ofEach }: RecordedBranches): void =>
    rerun(maker, () => {
      const packets = Int32Array.from(ends, (end) => end / layout.length);
      return engine.runBeside(numbers, packets, ofEach);
    });

  const close = (): Promise<void> => {
    storages.close();
    closing ??= engine.close();
    return closing;
  };

  const { instructionSet, threads } = engine;
  return {
    name,
    capabilities: { instructionSet, threads, dtype, real: ["float32"], activations, tiles },
    alloc,
    free,
    write,
    read,
    ...(engine.view === undefined ? {} : { view }),
    run,
    record,
    replay,
    moved,
    replayBeside,
    bytesInUse,
    bytesHeld,
    isClosed,
    close,
  };
};
