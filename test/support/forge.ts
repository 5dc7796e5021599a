/** Damages or forges files, like an attacker. */
import { randomKey, randomStream } from "#foretoken/core/random.js";
import { hashInteger } from "./hash.ts";

export type Random = ReturnType<typeof randomFor>;
/** Random numbers that depend only on the name and the index. */
export const randomFor = (name: string, index: number) => {
  const stream = randomStream(randomKey(hashInteger(name, 0, 2 ** 20), "sampling", index));
  const below = (n: number): number => Math.floor(stream.uniform() * n);
  return { below, pick: <T>(list: readonly T[]): T => list[below(list.length)] as T };
};

/** Values that an attacker would try instead of a number, a text or a list. */
const hostile: readonly unknown[] = [
  ...[0, -1, 0.5, 1, 2, 3, 64, 1e9, 2 ** 31, 2 ** 53, 1e308, -0],
  ...["", "x", "../x", "\u0000", "9".repeat(400), true, false, null, [], {}, [[]], { rope_type: "yarn" }],
  ...[[0, 0], [1e300], [-1], "__proto__"],
];

/** Changes, removes or adds one value in a JSON value. */
export const forge = (random: Random, json: unknown): unknown => {
  if (typeof json !== "object" || json === null || random.below(4) === 0) return random.pick(hostile);
  const copy = structuredClone(json) as Record<string, unknown>;
  const keys = Object.keys(copy);
  const key = random.pick(keys.length === 0 ? ["a"] : keys);
  switch (random.below(8)) {
    case 0:
      if (Array.isArray(copy)) copy.pop();
      else delete copy[key];
      return copy;
    case 1:
      return Array.isArray(copy) ? [...copy, random.pick(hostile)] : { ...copy, [`${key}_`]: copy[key] };
    default:
      copy[key] = forge(random, copy[key]);
      return copy;
  }
};

/** Damages bytes: changes some bytes, cuts off the end, appends bytes, or repeats a part. */
export const damage = (random: Random, bytes: Uint8Array): Uint8Array => {
  const copy = bytes.slice();
  switch (random.below(5)) {
    case 0:
      return copy.subarray(0, random.below(copy.length));
    case 1:
      return Uint8Array.from([...copy, ...copy.subarray(0, 1 + random.below(64))]);
    case 2:
      copy.copyWithin(random.below(copy.length), random.below(copy.length), random.below(copy.length));
      return copy;
    default:
      // Most changes are in the header, where every byte matters.
      for (let i = 0; i <= random.below(4); i++) {
        copy[random.below(random.below(2) === 0 ? copy.length : Math.min(copy.length, 2000))] = random.below(256);
      }
      return copy;
  }
};

/** A safetensors file with a forged header. */
export const forgeHeader = (random: Random, bytes: Uint8Array): Uint8Array => {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const text = new TextEncoder().encode(JSON.stringify(forge(random, header)));
  const out = new Uint8Array(8 + text.length + bytes.length - 8 - length);
  const declared = random.below(6) === 0 ? random.pick([0n, 2n ** 63n, 2n ** 40n, 1n]) : BigInt(text.length);
  new DataView(out.buffer).setBigUint64(0, declared, true);
  out.set(text, 8);
  out.set(bytes.subarray(8 + length), 8 + text.length);
  return out;
};
