import { describe, expect, it } from "vitest";
import { randomKey, randomStream } from "#foretoken/core/random.js";
import {
  banned,
  countPenalties,
  type History,
  logitBias,
  repetitionPenalty,
} from "#foretoken/generate/sampling/adjust.js";
import { createChain } from "#foretoken/generate/sampling/chain.js";
import { filterCandidates, sampleToken } from "#foretoken/generate/sampling/sampler.js";
import { type FilterName, plainSampling } from "#foretoken/generate/sampling/settings.js";
import { atLeast, highest } from "#foretoken/generate/sampling/shortlist.js";

const logitsOf = (...probabilities: number[]): Float32Array => Float32Array.from(probabilities, Math.log);

const historyOf = (prompt: readonly number[], text: readonly number[] = []): History => {
  const written = new Map<number, number>();
  for (const id of text) written.set(id, (written.get(id) ?? 0) + 1);
  return { ids: [...prompt, ...text], seen: new Set([...prompt, ...text]), written };
};

describe("what changes logits", () => {
  it("the repetition penalty divides positive logits of tokens that were there, and multiplies negative ones", () => {
    const logits = Float32Array.of(2, -2, 3, -3);
    repetitionPenalty(2)(logits, historyOf([0, 0], [1]));
    expect([...logits]).toEqual([1, -4, 3, -3]);
  });

  it("presence and frequency penalties are of what was written, not of the prompt", () => {
    const logits = Float32Array.of(1, 1, 1, 1);
    countPenalties(0.5, 0.25)(logits, historyOf([0], [1, 2, 2, 2]));
    expect([...logits]).toEqual([1, 0.25, -0.25, 1]);
  });

  it("a bias is added; ids that are no tokens are passed over", () => {
    const logits = Float32Array.of(1, 1);
    logitBias(
      new Map([
        [1, -100],
        [7, 5],
      ]),
    )(logits, historyOf([0]));
    expect([...logits]).toEqual([1, -99]);
  });

  it("bans the token that would end a list, where the others stand before it", () => {
    const of = (ids: readonly number[]): number[] => {
      const logits = new Float32Array(4);
      banned([[3], [0, 1], [0, 1, 2], []])(logits, historyOf(ids));
      return [...logits];
    };
    const none = Number.NEGATIVE_INFINITY;
    expect(of([])).toEqual([0, 0, 0, none]);
    expect(of([0])).toEqual([0, none, 0, none]);
    expect(of([2, 0, 1])).toEqual([0, 0, none, none]);
    expect(of([1, 0, 2])).toEqual([0, 0, 0, none]);
  });
});

describe("the chain", () => {
  const greedy = { ...plainSampling, temperature: 0 };

  it("keeps the history of its text, and leaves the logits as they are", () => {
    const logits = Float32Array.of(3, 2.5, 0);
    const chain = createChain({ sampling: { ...greedy, frequencyPenalty: 1 }, seed: 1 }, [1]);
    expect([1, 2, 3, 4, 5].map(() => chain.next(logits))).toEqual([0, 1, 0, 1, 0]);
    expect([...logits]).toEqual([3, 2.5, 0]);
  });

  it("asks the caller's own function last, with all ids so far", () => {
    const seen: (readonly number[])[] = [];
    const settings = {
      sampling: greedy,
      seed: 1,
      biases: new Map([[0, 5]]),
      adjust(logits: Float32Array, ids: readonly number[]) {
        seen.push([...ids]);
        if (ids.length === 2) logits[2] = 100;
      },
    };
    const chain = createChain(settings, [1]);
    expect([1, 2, 3].map(() => chain.next(Float32Array.of(0, 4, 1)))).toEqual([0, 2, 0]);
    expect(seen).toEqual([[1], [1, 0], [1, 0, 2]]);
  });

  it("never draws what is banned, though nothing else is likely", () => {
    const chain = createChain({ sampling: plainSampling, seed: 3, banned: [[0]] }, [1]);
    const ids = Array.from({ length: 200 }, () => chain.next(Float32Array.of(50, 0, 0)));
    expect(new Set(ids)).toEqual(new Set([1, 2]));
  });
});

describe("filters", () => {
  const logits = logitsOf(0.5, 0.25, 0.125, 0.0625, 0.0625);

  it("typical sampling keeps the tokens whose surprise is nearest to the entropy", () => {
    // The entropy is 1.875 bits. The surprises of the five tokens are 1, 2, 3, 4 and 4 bits. In the order of their
    // distance to the entropy, the first three are 2, 1 and 3 bits.
    const kept = (typicalP: number): readonly number[] => filterCandidates(logits, { ...plainSampling, typicalP }).ids;
    expect(kept(0.2)).toEqual([1]);
    expect(kept(0.26)).toEqual([0, 1]);
    expect(kept(0.76)).toEqual([0, 1, 2]);
    expect(kept(0.9)).toEqual([0, 1, 2, 3]);
    expect(kept(1)).toEqual([0, 1, 2, 3, 4]);
    const { probabilities } = filterCandidates(logits, { ...plainSampling, typicalP: 0.26 });
    expect([...probabilities].map((p) => Math.round(p * 1e6))).toEqual([666667, 333333]);
  });

  it("act in the order that is given", () => {
    const sampling = { ...plainSampling, temperature: 4, topP: 0.6 };
    const last: FilterName[] = ["topP", "topK", "minP", "typicalP", "temperature"];
    // If top-p is applied before the temperature, two tokens reach 0.6. If it is applied after the temperature, three
    // of the five tokens are needed.
    expect(filterCandidates(logits, sampling, last).ids).toEqual([0, 1]);
    expect(filterCandidates(logits, sampling).ids).toEqual([0, 1, 2]);
    const { probabilities } = filterCandidates(logits, sampling, last);
    expect((probabilities[0] as number) / (probabilities[1] as number)).toBeCloseTo(2 ** 0.25, 6);
  });
});

describe("without sorting a vocabulary", () => {
  const random = randomStream(randomKey(9, "init"));
  const vocabularies = [1, 2, 65, 1000, 5000].flatMap((length) =>
    [0.01, 1, 8].map((spread) => Float32Array.from({ length }, () => Math.round(random.normal() * spread * 8) / 8)),
  );

  it("the highest are those of a sort, equal ones by their ids", () => {
    for (const logits of vocabularies) {
      const sorted = [...logits.keys()].sort((a, b) => (logits[b] as number) - (logits[a] as number) || a - b);
      for (const count of [1, 3, 40]) expect(highest(logits, count).ids).toEqual(sorted.slice(0, count));
      expect(atLeast(logits, Number.NEGATIVE_INFINITY).ids).toEqual(sorted);
    }
  });

  it("draws what is drawn from all candidates in order", () => {
    for (const [i, logits] of vocabularies.entries()) {
      for (const changes of [{}, { topK: 40 }, { topP: 0.9 }, { minP: 0.05 }, { topK: 7, topP: 0.8, minP: 0.1 }]) {
        const sampling = { ...plainSampling, temperature: 0.7, ...changes };
        const number = randomStream(randomKey(i, "sampling")).uniform();
        const { ids, probabilities } = filterCandidates(logits, sampling);
        let left = number;
        const place = probabilities.findIndex((p) => {
          left -= p;
          return left < 0;
        });
        const drawn = sampleToken(logits, sampling, randomStream(randomKey(i, "sampling")));
        expect(drawn).toBe(ids[place === -1 ? ids.length - 1 : place]);
      }
    }
  });

  it("draws some token of logits that are no numbers", () => {
    const nan = new Float32Array(50).fill(Number.NaN);
    const some = Float32Array.from(nan, (value, id) => (id === 31 ? 1 : value));
    for (const sampling of [{}, { topK: 5 }, { topP: 0.5 }, { typicalP: 0.5 }, { minP: 0.5 }, { temperature: 0 }]) {
      const draw = (logits: Float32Array) =>
        sampleToken(logits, { ...plainSampling, ...sampling }, randomStream(randomKey(1, "sampling")));
      expect(draw(nan)).toBeGreaterThanOrEqual(0);
      expect(draw(some)).toBeLessThan(50);
    }
  });
});
