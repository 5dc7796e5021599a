/**
 * Makes `toEqual` and similar matchers first compare the bytes of typed arrays. Comparing the elements takes a hundred
 * times as long.
 */
import { expect } from "vitest";

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

/** Returns undefined if the bytes differ. The elements are then compared, which also shows where the arrays differ. */
const haveSameBytes = (a: unknown, b: unknown): true | undefined => {
  if (!(ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) || a.constructor !== b.constructor) return undefined;
  return bytesOf(a).equals(bytesOf(b)) || undefined;
};

// Several test files share a process, so they share added matchers. Without this check, each file would add another
// matcher.
const mark = Symbol.for("foretoken: equal bytes");
if (!Reflect.has(globalThis, mark)) expect.addEqualityTesters([haveSameBytes]);
Reflect.set(globalThis, mark, true);
