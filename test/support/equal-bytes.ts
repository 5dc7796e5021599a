/**
 * Makes `toEqual` and similar matchers compare typed arrays by their bytes first. Comparing by elements takes a hundred
 * times as long.
 */
import { expect } from "vitest";

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

/**
 * If the bytes differ, returns undefined. The arrays are then compared by elements, which also shows where they differ.
 */
const haveSameBytes = (a: unknown, b: unknown): true | undefined => {
  if (!(ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) || a.constructor !== b.constructor) return undefined;
  return bytesOf(a).equals(bytesOf(b)) || undefined;
};

// Test files share processes, so they share added matchers. Without this check, each file would add another matcher.
const mark = Symbol.for("foretoken: equal bytes");
if (!Reflect.has(globalThis, mark)) expect.addEqualityTesters([haveSameBytes]);
Reflect.set(globalThis, mark, true);
