/**
 * Beam search: looks for the texts with the highest probability. Each step extends every open text by its most probable
 * tokens. The best `beams` of these texts stay open. Finished texts are kept separately.
 *     score = Σ ln p(token) / length ** lengthPenalty, over the written tokens including the end token
 * Same as `num_beams` of Hugging Face's `generate` with early stopping off. The search ends when `beams` texts are
 * finished and no open text can become better than the worst finished text.
 */

import { logitsFault } from "../core/errors/logits-fault.ts";
import { hostTurns } from "../core/system/yield.ts";
import type { Model } from "../models/model.ts";
import type { Room } from "./room.ts";
import { openSequence, type Sequence } from "./sequence.ts";

/** Parameters of a search. */
export interface BeamRequest {
  readonly model: Model;
  /** Tokens to continue: one or more. */
  readonly prompt: readonly number[];
  /**
   * Maximum number of tokens to write. The prompt and the written tokens may exceed the context length by one token.
   */
  readonly maxNewTokens: number;
  /** Number of texts that stay open at each step. This is also the maximum number of results. */
  readonly beams: number;
  /** Tokens that end a text. */
  readonly ends: ReadonlySet<number>;
  /** Values above 0 favour long texts. */
  readonly lengthPenalty: number;
  /** Number of tokens in the vocabulary. The logits may have more entries. */
  readonly vocabSize: number;
  /** Whether to stop now and return the texts found so far. */
  readonly isAborted: () => boolean;
}

/** A text that the search found. */
export interface Beam {
  /** Token ids after the prompt. */
  readonly ids: readonly number[];
  /** Σ ln p of the tokens in `ids`, in nats. */
  readonly logProb: number;
  readonly score: number;
  /** Whether the last token is one of `ends`. */
  readonly ended: boolean;
}

/** A text that has not ended. */
interface Open {
  readonly sequence: Sequence;
  readonly logProb: number;
  /** Logits [V] of the next token. */
  readonly logits: Float32Array;
}

/** A possible next token of an open text. */
interface Candidate {
  readonly from: number;
  readonly id: number;
  readonly logProb: number;
}

/** ln Σ e^logit. */
const logSum = (logits: Float32Array): number => {
  let highest = Number.NEGATIVE_INFINITY;
  for (let v = 0; v < logits.length; v++) if ((logits[v] as number) > highest) highest = logits[v] as number;
  let sum = 0;
  for (let v = 0; v < logits.length; v++) sum += Math.exp((logits[v] as number) - highest);
  return highest + Math.log(sum);
};

/**
 * The `most` best candidates; the best candidate comes first. Candidates with equal scores are sorted by text, then by
 * id.
 */
const bestCandidates = (open: readonly Open[], most: number, vocabSize: number): readonly Candidate[] => {
  const best: Candidate[] = [];
  for (const [from, { logits, logProb: before }] of open.entries()) {
    const all = before - logSum(logits);
    if (!Number.isFinite(all)) throw logitsFault("beamSearch", Number.NaN);
    for (let id = 0; id < vocabSize; id++) {
      const logProb = all + (logits[id] as number);
      if (best.length === most && !(logProb > (best[most - 1] as Candidate).logProb)) continue;
      let place = best.length === most ? most - 1 : best.length;
      for (; place > 0 && (best[place - 1] as Candidate).logProb < logProb; place--)
        best[place] = best[place - 1] as Candidate;
      best[place] = { from, id, logProb };
    }
  }
  return best;
};

/** Computes all missing tokens of the sequences. Returns the last logits of each sequence. */
const compute = async (room: Room, model: Model, sequences: readonly Sequence[]): Promise<readonly Float32Array[]> => {
  const last = sequences.map((): Float32Array => new Float32Array(0));
  for (;;) {
    const missing = sequences.flatMap((sequence, i) => (sequence.missing > 0 ? [{ sequence, i }] : []));
    if (missing.length === 0) return last;
    const pieces = missing.map(({ sequence }) => sequence.piece(512));
    const logits = await room.passesFor(model).run(pieces);
    for (const [j, { sequence, i }] of missing.entries()) {
      sequence.done(pieces[j] as (typeof pieces)[number]);
      last[i] = logits[j]?.at(-1) ?? (last[i] as Float32Array);
    }
  }
};

/** @returns at most `beams` texts; the best text comes first. */
export const searchBeams = async (room: Room, request: BeamRequest): Promise<readonly Beam[]> => {
  const { model, prompt, maxNewTokens, beams, ends, lengthPenalty, vocabSize, isAborted } = request;
  const scoreOf = (logProb: number, length: number): number => logProb / Math.max(1, length) ** lengthPenalty;
  const found: Beam[] = [];
  const keep = (ids: readonly number[], logProb: number, ended: boolean): void => {
    found.push({ ids, logProb, score: scoreOf(logProb, ids.length), ended });
    // The sort is stable: if several texts have the same score, the first text that was found stays.
    found.sort((a, b) => b.score - a.score);
    found.splice(beams);
  };
  const writtenOf = ({ ids }: Sequence): readonly number[] => ids.slice(prompt.length);
  const full = (): Error => new Error("there must be enough pages for all beams");

  const root = openSequence(room, { model, prompt, maxNewTokens, choose: () => null });
  if (root === null) throw full();
  let sequences: readonly Sequence[] = [root];
  try {
    let logProbs: readonly number[] = [0];
    const turns = hostTurns();
    for (let length = 1; length <= maxNewTokens; length++) {
      if (turns.due()) await turns.give();
      if (isAborted()) break;
      const logits = await compute(room, model, sequences);
      const open = sequences.map(
        (sequence, i): Open => ({ sequence, logProb: logProbs[i] as number, logits: logits[i] as Float32Array }),
      );
      // Takes twice the number of candidates. So `beams` texts stay open even if half of the candidates end a text.
      const continued: Candidate[] = [];
      for (const [rank, candidate] of bestCandidates(open, 2 * beams, vocabSize).entries()) {
        const { from, id, logProb } = candidate;
        if (!ends.has(id)) continued.push(candidate);
        else if (rank < beams) keep([...writtenOf((open[from] as Open).sequence), id], logProb, true);
        if (continued.length === beams) break;
      }
      const [best] = continued;
      const worst = found[beams - 1];
      if (best === undefined || (worst !== undefined && worst.score >= scoreOf(best.logProb, length))) {
        for (const sequence of sequences) sequence.close();
        sequences = [];
        break;
      }
      const next = continued.map(({ from, id }, i) => {
        const { sequence } = open[from] as Open;
        // The last candidate of a sequence continues the sequence itself. Earlier candidates continue copies.
        const isLast = continued.findLastIndex((other) => other.from === from) === i;
        if (!isLast) return sequence.fork([id]);
        sequence.append(id);
        return sequence;
      });
      const kept = next.filter((sequence) => sequence !== null);
      for (const sequence of sequences) if (!kept.includes(sequence)) sequence.close();
      sequences = kept;
      if (kept.length < next.length) throw full();
      logProbs = continued.map(({ logProb }) => logProb);
    }
    for (const [i, sequence] of sequences.entries()) keep(writtenOf(sequence), logProbs[i] as number, false);
    return found;
  } finally {
    for (const sequence of sequences) sequence.close();
  }
};
