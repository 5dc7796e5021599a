/**
 * The likeliest tokens in order, as many as are needed: a vocabulary is large, and all of it is sorted only where a setting asks for
 * that.
 */

/** Tokens from the likeliest on, equal ones in the order of their ids. */
export interface Listed {
  readonly ids: readonly number[];
  /** As many. */
  readonly logits: readonly number[];
}

/** More than these are not worth keeping in order one by one. */
export const mostSelected = 1024;

/** The `count` highest, in one pass: nearly all logits end at the first comparison. */
export const highest = (logits: Float32Array, count: number): Listed => {
  const ids: number[] = [];
  const kept: number[] = [];
  let lowest = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] as number;
    // Neither is NaN, of a model that has diverged.
    if (!(logit > lowest)) continue;
    let place = kept.length < count ? kept.length : count - 1;
    for (; place > 0 && (kept[place - 1] as number) < logit; place--) {
      kept[place] = kept[place - 1] as number;
      ids[place] = ids[place - 1] as number;
    }
    kept[place] = logit;
    ids[place] = id;
    if (kept.length === count) lowest = kept[count - 1] as number;
  }
  return { ids, logits: kept };
};

/** Room for an id in a key: so many, and the 32 bits of a logit, are a whole number that a double holds. */
const idRoom = 2 ** 21;
const single = new Float32Array(1);
const word = new Uint32Array(single.buffer);

/** A number that is smaller for a higher logit, and of equal ones for the lower id. */
const keyOf = (logit: number, id: number): number => {
  // Of −0, 0.
  single[0] = logit === 0 ? 0 : logit;
  const bits = word[0] as number;
  const descending = bits >= 2 ** 31 ? bits : 2 ** 31 - 1 - bits;
  return descending * idRoom + id;
};

/** All that are at least as high as `threshold`. */
export const atLeast = (logits: Float32Array, threshold: number): Listed => {
  if (logits.length > idRoom) throw new Error(`a vocabulary has at most ${idRoom} tokens`);
  const keys = new Float64Array(logits.length);
  let count = 0;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] as number;
    if (logit >= threshold) keys[count++] = keyOf(logit, id);
  }
  const sorted = keys.subarray(0, count).sort();
  const listed = { ids: new Array<number>(count), logits: new Array<number>(count) };
  for (let i = 0; i < count; i++) {
    const id = (sorted[i] as number) % idRoom;
    listed.ids[i] = id;
    listed.logits[i] = logits[id] as number;
  }
  return listed;
};

/** Mass of all: Σ e^((logit − highest) / temperature). */
export interface Mass {
  readonly highest: number;
  readonly sum: number;
}

export const massOf = (logits: Float32Array, temperature: number): Mass => {
  let top = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) if ((logits[id] as number) > top) top = logits[id] as number;
  let sum = 0;
  // Without NaN, of a model that has diverged.
  for (let id = 0; id < logits.length; id++) sum += Math.exp(((logits[id] as number) - top) / temperature) || 0;
  return { highest: top, sum };
};

/** The likeliest that together have more than `share` of the mass, or all. */
export const withShare = (logits: Float32Array, temperature: number, mass: Mass, share: number): Listed => {
  for (let reach = 8; ; reach *= 2) {
    const listed = atLeast(logits, mass.highest - reach * temperature);
    if (listed.ids.length === logits.length || reach > 2 ** 12) return atLeast(logits, Number.NEGATIVE_INFINITY);
    let sum = 0;
    for (const logit of listed.logits) sum += Math.exp((logit - mass.highest) / temperature);
    if (sum > share * mass.sum) return listed;
  }
};
