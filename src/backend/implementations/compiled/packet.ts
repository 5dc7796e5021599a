/** Encodes a kernel call as a packet of numbers, in the order of native/dispatch.h. */
import type { ProductDType } from "../../../core/tensors/dtype.ts";
import type { View } from "../../backend.ts";
import type { KernelPlan } from "../../calls/check.ts";
import type { PacketLimits } from "./engine.ts";
import type { CompiledStorage } from "./storages.ts";

/** Where each part of a packet begins. A packet begins with the kernel's index, followed by the buffers. */
export interface PacketLayout {
  readonly firstInt: number;
  readonly firstFloat: number;
  /** Number format of the operands of products. */
  readonly operands: number;
  /** One bit for each buffer: whether the buffer's elements are bfloat16. */
  readonly narrow: number;
  readonly length: number;
}

export const packetLayout = ({ buffers, ints, floats }: PacketLimits): PacketLayout => {
  const firstInt = 1 + 3 * buffers;
  const firstFloat = firstInt + ints;
  const operands = firstFloat + floats;
  return { firstInt, firstFloat, operands, narrow: operands + 1, length: operands + 2 };
};

/** Codes of operand formats: float32, bfloat16, or float32 multiplied by tiles. */
export const operandsNumber = (dtype: ProductDType, tiles: ProductDType | null): number =>
  dtype === "bfloat16" ? 1 : tiles === null ? 0 : 2;

/**
 * Writes a checked call into `packet`, except for the code of the operand format. The function allocates nothing,
 * because a step makes thousands of calls.
 * @param args arguments of the kernel, by name.
 * @param lengths number of elements of each buffer that the kernel will touch.
 */
export const writePacket = (
  packet: Float64Array,
  { firstInt, firstFloat, narrow: narrowAt }: PacketLayout,
  { index, buffers, ints, floats }: KernelPlan,
  args: Readonly<Record<string, unknown>>,
  lengths: Readonly<Record<string, number>>,
): void => {
  packet[0] = index;
  let narrow = 0;
  let bit = 1;
  let at = 1;
  for (const [buffer] of buffers) {
    const view = args[buffer] as View | null | undefined;
    if (view === null || view === undefined) {
      packet[at] = -1;
    } else {
      packet[at] = (view.storage as CompiledStorage).handle;
      packet[at + 1] = view.offset;
      packet[at + 2] = lengths[buffer] as number;
      if (view.storage.dtype === "bfloat16") narrow += bit;
    }
    at += 3;
    bit *= 2;
  }
  at = firstInt;
  for (const int of ints) packet[at++] = args[int] as number;
  at = firstFloat;
  for (const float of floats) packet[at++] = args[float] as number;
  packet[narrowAt] = narrow;
};
