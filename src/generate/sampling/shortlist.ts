/**
 * Finds the most probable tokens in order. The whole vocabulary is sorted only if a setting needs this, because it is
 * large.
 */

/** Tokens with the highest logits. The highest logit comes first; tokens with equal logits are sorted by id. */
export interface Listed {
  readonly ids: readonly number[];
  /** As many. */
  readonly logits: readonly number[];
}

/** Maximum `count` for `highest`. With more tokens, keeping the list sorted would cost too much. */
export const mostSelected = 1024;

/**
 * The `count` highest logits, found in one loop. The loop is fast, because nearly all logits fail the first comparison.
 */
export const highest = (logits: Float32Array, count: number): Listed => {
  const ids: number[] = [];
  const kept: number[] = [];
  let lowest = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] as number;
    // The comparison is written so that it also skips NaN, the logits of a diverged model.
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

/**
 * Number of ids that fit into a sort key. The key has 53 bits: 21 bits of the id and 32 bits of the logit. A double
 * represents integers of 53 bits exactly.
 */
const idRoom = 2 ** 21;
const single = new Float32Array(1);
const word = new Uint32Array(single.buffer);

/** Sort key. A higher logit has a smaller key. For equal logits, a lower id has a smaller key. */
const keyOf = (logit: number, id: number): number => {
  // Of −0, 0.
  single[0] = logit === 0 ? 0 : logit;
  const bits = word[0] as number;
  const descending = bits >= 2 ** 31 ? bits : 2 ** 31 - 1 - bits;
  return descending * idRoom + id;
};

/** Memory for the sort keys. Every call uses it again, because new memory for a large vocabulary takes longer than the sort. */
let keys = new Float64Array(0);

/** All tokens with a logit of at least `threshold`. */
export const atLeast = (logits: Float32Array, threshold: number): Listed => {
  if (logits.length > idRoom) throw new Error(`a vocabulary has at most ${idRoom} tokens`);
  if (keys.length < logits.length) keys = new Float64Array(logits.length);
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

/** Sum over all tokens: Σ e^((logit − highest) / temperature). */
export interface Mass {
  readonly highest: number;
  readonly sum: number;
}

export const massOf = (logits: Float32Array, temperature: number): Mass => {
  let top = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) if ((logits[id] as number) > top) top = logits[id] as number;
  let sum = 0;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] as number;
    // A constraint sets most logits to −∞. The comparison also leaves out NaN, the logits of a diverged model.
    if (logit > Number.NEGATIVE_INFINITY) sum += Math.exp((logit - top) / temperature) || 0;
  }
  return { highest: top, sum };
};

/** The most probable tokens with weights that together exceed `share` of the sum, or all tokens. */
export const withShare = (logits: Float32Array, temperature: number, mass: Mass, share: number): Listed => {
  // A short list is sorted fast, and most draws fall on it.
  for (let reach = 2; ; reach *= 2) {
    const listed = atLeast(logits, mass.highest - reach * temperature);
    if (listed.ids.length === logits.length || reach > 2 ** 12) return atLeast(logits, Number.NEGATIVE_INFINITY);
    let sum = 0;
    for (const logit of listed.logits) sum += Math.exp((logit - mass.highest) / temperature);
    if (sum > share * mass.sum) return listed;
  }
};
