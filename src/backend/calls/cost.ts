/**
 * The cost of a kernel call, computed from its sizes: arithmetic of products and bytes of memory. With a time it gives
 * the rates in profiles and benchmarks.
 */
import { bytesPerElement } from "../../core/tensors/dtype.ts";
import type { View } from "../backend.ts";
import type { KernelArgs, KernelName } from "../kernels/kernels.ts";
import { kernelPlans } from "./check.ts";

/** Cost of one call. */
export interface KernelCost {
  /** A multiplication and an addition are two. 0 for kernels whose time is that of their bytes. */
  readonly flops: number;
  /** Bytes of elements that the call needs, each once: with `written`, the least that memory must move. */
  readonly read: number;
  readonly written: number;
}

/**
 * The cost of one call with checked arguments. Bytes follow from the element types of the given buffers; a kernel's
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
