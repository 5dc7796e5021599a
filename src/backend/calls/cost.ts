/**
 * The cost of a kernel call, computed from the sizes of the call: arithmetic operations of products, and bytes of
 * memory. Profiles and benchmarks divide the cost by a time to get rates.
 */
import { bytesPerElement } from "../../core/tensors/dtype.ts";
import type { View } from "../backend.ts";
import type { KernelArgs, KernelName } from "../kernels/kernels.ts";
import { kernelPlans } from "./check.ts";

/** Cost of one call. */
export interface KernelCost {
  /**
   * Floating-point operations of products. A multiplication and an addition count as two operations. 0 for kernels
   * limited by memory bandwidth.
   */
  readonly flops: number;
  /**
   * Minimum number of bytes to read from memory: each needed element counts once. `written` is the minimum number of
   * bytes to write to memory.
   */
  readonly read: number;
  readonly written: number;
}

/**
 * Cost of one call with checked arguments. The bytes depend on the element types of the given buffers. A kernel's
 * scratch memory does not count.
 */
export const kernelCost = <K extends KernelName>(kernel: K, args: KernelArgs<K, View>): KernelCost => {
  const { buffers, lengths, cost } = kernelPlans[kernel];
  const given = args as Readonly<Record<string, unknown>>;
  const sizes = given as Readonly<Record<string, number>>;
  const whole = lengths(sizes);
  const part = cost.touched?.(sizes) ?? {};
  const unread = cost.unread as readonly string[] | undefined;
  const readToAdd = cost.readToAdd as readonly string[] | undefined;
  let read = 0;
  let written = 0;
  for (const [name, { access }] of buffers) {
    const view = given[name] as View | null | undefined;
    if (view === null || view === undefined) continue;
    const onlyWritten = access === "out" || unread?.includes(name) || (readToAdd?.includes(name) && given.add === 0);
    const bytes = (part[name] ?? whole[name] ?? 0) * bytesPerElement[view.storage.dtype];
    if (!onlyWritten) read += bytes;
    if (access !== "in") written += bytes;
  }
  return { flops: cost.flops?.(sizes) ?? 0, read, written };
};
