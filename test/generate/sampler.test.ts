import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type RandomStream, randomKey, randomStream } from "#foretoken/core/random.js";
import { type Candidates, candidatesOf, filterCandidates, sampleToken } from "#foretoken/generate/sampling/sampler.js";
import type { Filtering } from "#foretoken/generate/sampling/settings.js";

const all: Filtering = { temperature: 1, topK: 0, topP: 1, minP: 0 };
const greedy: Filtering = { ...all, temperature: 0 };

/** Logits with the softmax `probabilities`, up to rounding in float32. */
const logitsOf = (...probabilities: number[]): Float32Array => Float32Array.from(probabilities, Math.log);

const candidates = (logits: Float32Array, sampling: Partial<Filtering>): Candidates =>
  filterCandidates(logits, { ...all, ...sampling });

const expectCandidates = (actual: Candidates, expected: Readonly<Record<number, number>>): void => {
  expect([...actual.ids].sort((a, b) => a - b)).toEqual(Object.keys(expected).map(Number));
  for (const [i, id] of actual.ids.entries()) expect(actual.probabilities[i]).toBeCloseTo(expected[id] as number, 6);
};

/** A random stream that returns these numbers, and counts how many were used. */
const scripted = (...numbers: number[]): { readonly stream: RandomStream; readonly taken: () => number } => {
  let taken = 0;
  const uniform = (): number => numbers[taken++ % numbers.length] as number;
  const unused = (): never => {
    throw new Error("sampling takes uniform numbers only");
  };
  return { stream: { uniform, uint32: unused, integer: unused, normal: unused }, taken: () => taken };
};

describe("temperature", () => {
  it("divides the logits before the softmax", () => {
    // At temperature 2, the result is the square roots of the probabilities, normalized. At temperature ½, the result
    // is their squares, normalized.
    const logits = logitsOf(0.64, 0.32, 0.04);
    expectCandidates(candidates(logits, {}), { 0: 0.64, 1: 0.32, 2: 0.04 });
    const roots = [0.8, Math.sqrt(0.32), 0.2];
    const rootSum = roots.reduce((a, b) => a + b);
    expectCandidates(
      candidates(logits, { temperature: 2 }),
      roots.map((root) => root / rootSum),
    );
    const squareSum = 0.64 ** 2 + 0.32 ** 2 + 0.04 ** 2;
    expectCandidates(
      candidates(logits, { temperature: 0.5 }),
      [0.64, 0.32, 0.04].map((p) => p ** 2 / squareSum),
    );
  });

  it("is safe for large logits, and close to greedy when tiny", () => {
    expectCandidates(candidates(Float32Array.of(1e30, -1e30, 0), {}), { 0: 1, 1: 0, 2: 0 });
    const { stream } = scripted(0.999999);
    expect(sampleToken(Float32Array.of(1, 2, 1.999), { ...all, temperature: 1e-6 }, stream)).toBe(1);
  });
});

describe("filters on small distributions", () => {
  const logits = logitsOf(0.1, 0.4, 0.2, 0.3);

  it("top-k keeps the k likeliest", () => {
    expectCandidates(candidates(logits, { topK: 2 }), { 1: 4 / 7, 3: 3 / 7 });
    expectCandidates(candidates(logits, { topK: 3 }), { 1: 4 / 9, 2: 2 / 9, 3: 3 / 9 });
    expect(candidates(logits, { topK: 99 })).toEqual(candidates(logits, {}));
  });

  it("top-p keeps the smallest set that reaches p, the token that crosses it included", () => {
    expectCandidates(candidates(logits, { topP: 0.35 }), { 1: 1 });
    expectCandidates(candidates(logits, { topP: 0.45 }), { 1: 4 / 7, 3: 3 / 7 });
    expectCandidates(candidates(logits, { topP: 0.65 }), { 1: 4 / 7, 3: 3 / 7 });
    expectCandidates(candidates(logits, { topP: 0.75 }), { 1: 4 / 9, 2: 2 / 9, 3: 3 / 9 });
    expectCandidates(candidates(logits, { topP: 1e-9 }), { 1: 1 });
  });

  it("min-p keeps what is at least that share of the likeliest", () => {
    expectCandidates(candidates(logits, { minP: 0.3 }), { 1: 4 / 9, 2: 2 / 9, 3: 3 / 9 });
    expectCandidates(candidates(logits, { minP: 0.6 }), { 1: 4 / 7, 3: 3 / 7 });
    expectCandidates(candidates(logits, { minP: 1 }), { 1: 1 });
    // If equally likely tokens are at the limit, all of them are kept.
    expect(candidates(Float32Array.of(2, 2, 1), { minP: 1 }).ids).toEqual([0, 1]);
  });

  it("act one after the other: temperature, top-k, top-p of what is left, min-p", () => {
    // Top-k keeps probabilities of 4/9, 3/9 and 2/9. The first two tokens have 0.777… of the kept probability, but only
    // 0.7 of the total probability.
    expectCandidates(candidates(logits, { topK: 3, topP: 0.8 }), { 1: 4 / 9, 2: 2 / 9, 3: 3 / 9 });
    expectCandidates(candidates(logits, { topK: 3, topP: 0.77 }), { 1: 4 / 7, 3: 3 / 7 });
    expectCandidates(candidates(logits, { topK: 3, topP: 0.8, minP: 0.6 }), { 1: 4 / 7, 3: 3 / 7 });
  });

  it("take the lower id of equally likely tokens", () => {
    const equal = Float32Array.of(1, 3, 3, 3);
    expect(candidates(equal, { topK: 2 }).ids).toEqual([1, 2]);
    expect(candidates(equal, { topP: 0.2 }).ids).toEqual([1]);
    expect(sampleToken(equal, greedy, scripted(0).stream)).toBe(1);
  });
});

describe("a draw", () => {
  it("takes one number for each token, none when greedy, whatever the filters", () => {
    const logits = logitsOf(0.5, 0.25, 0.25);
    for (const sampling of [{}, { topK: 2 }, { topP: 0.6 }, { minP: 0.9 }, { topK: 1 }, { temperature: 3 }]) {
      const { stream, taken } = scripted(0.3);
      for (let token = 1; token <= 5; token++) {
        sampleToken(logits, { ...all, ...sampling }, stream);
        expect(taken()).toBe(token);
      }
    }
    const { stream, taken } = scripted(0.3);
    sampleToken(logits, greedy, stream);
    expect(taken()).toBe(0);
  });

  it("inverts the cumulative distribution, up to both of its ends", () => {
    const logits = logitsOf(0.25, 0.5, 0.25);
    const draw = (u: number): number => sampleToken(logits, all, scripted(u).stream);
    expect([0, 0.49, 0.51, 0.74, 0.76, 1 - 2 ** -53].map(draw)).toEqual([1, 1, 0, 0, 2, 2]);
    // Rounding may leave a remainder. The remainder must select an allowed token.
    expect(sampleToken(logits, { ...all, topK: 2 }, scripted(1).stream)).toBe(0);
  });

  it("follows the distribution: χ² over 20,000 draws", () => {
    const probabilities = [0.3, 0.05, 0.2, 0.15, 0.02, 0.08, 0.12, 0.08];
    const logits = logitsOf(...probabilities);
    for (const sampling of [all, { ...all, temperature: 0.7 }, { ...all, temperature: 1.5, topP: 0.9 }]) {
      const random = randomStream(randomKey(7, "sampling"));
      const expected = filterCandidates(logits, sampling);
      const counts = new Map<number, number>();
      const draws = 20_000;
      for (let i = 0; i < draws; i++) {
        const id = sampleToken(logits, sampling, random);
        counts.set(id, (counts.get(id) ?? 0) + 1);
      }
      expect([...counts.keys()].every((id) => expected.ids.includes(id))).toBe(true);
      const chiSquare = expected.ids.reduce((sum, id, i) => {
        const mean = draws * (expected.probabilities[i] as number);
        return sum + ((counts.get(id) ?? 0) - mean) ** 2 / mean;
      }, 0);
      // 99.9th percentile of χ² with seven degrees of freedom. The seed is fixed, so the test does not fail by chance.
      expect(chiSquare).toBeLessThan(24.32);
    }
  });
});

describe("for any logits", () => {
  // The logits are small integers, so ties are common.
  const logitsArbitrary = fc
    .array(fc.integer({ min: -6, max: 6 }), { minLength: 1, maxLength: 24 })
    .map((values) => Float32Array.from(values));
  const temperature = fc.double({ min: 0.1, max: 5, noNaN: true });
  const share = fc.double({ min: 0.01, max: 1, noNaN: true });
  const sampling = fc.record({
    temperature,
    topK: fc.nat(26),
    topP: share,
    minP: fc.double({ min: 0, max: 1, noNaN: true }),
  });

  it("candidates come from the highest logit to the lowest, equal ones by their ids, whatever their sign and size", () => {
    const any = fc.array(fc.oneof(fc.float({ noNaN: true }), fc.constantFrom(0, -0, 1, -1)), { minLength: 1 });
    fc.assert(
      fc.property(any, (values) => {
        const sorted = values
          .map((_, id) => id)
          .sort(
            (a, b) => (values[a] === values[b] ? a - b : 0) || ((values[a] as number) > (values[b] as number) ? -1 : 1),
          );
        expect(candidatesOf(Float32Array.from(values), 1).ids).toEqual(sorted);
      }),
    );
  });

  it("probabilities sum to 1 and have the ratios of the softmax, with no token twice", () => {
    fc.assert(
      fc.property(logitsArbitrary, sampling, (logits, settings) => {
        const { ids, probabilities } = filterCandidates(logits, settings);
        expect(new Set(ids).size).toBe(ids.length);
        expect(ids.length).toBeGreaterThan(0);
        expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
        for (const [i, p] of probabilities.entries()) {
          const ratio = Math.exp(
            ((logits[ids[i] as number] as number) - (logits[ids[0] as number] as number)) / settings.temperature,
          );
          expect(p).toBeCloseTo((probabilities[0] as number) * ratio, 12);
        }
      }),
    );
  });

  it("a stricter filter keeps a part of what a looser one keeps, and what it keeps is the likeliest", () => {
    const contains = (loose: Candidates, strict: Candidates): void =>
      expect(strict.ids).toEqual(loose.ids.slice(0, strict.ids.length));
    fc.assert(
      fc.property(logitsArbitrary, temperature, fc.integer({ min: 1, max: 24 }), share, share, (logits, t, k, a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const whole = candidatesOf(logits, t);
        const filtered = (changes: Partial<Filtering>): Candidates =>
          candidates(logits, { temperature: t, ...changes });
        contains(whole, filtered({ topK: k }));
        contains(filtered({ topK: k + 1 }), filtered({ topK: k }));
        contains(filtered({ topP: high }), filtered({ topP: low }));
        contains(filtered({ minP: low }), filtered({ minP: high }));
        expect(filtered({ topK: k }).ids.length).toBe(Math.min(k, logits.length));
      }),
    );
  });

  it("top-p is the smallest set: without its last token it falls short of p", () => {
    fc.assert(
      fc.property(logitsArbitrary, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (logits, p) => {
        const whole = candidatesOf(logits, 1);
        const count = candidates(logits, { topP: p }).ids.length;
        const mass = (n: number): number => whole.probabilities.slice(0, n).reduce((a, b) => a + b, 0);
        expect(mass(count)).toBeGreaterThanOrEqual(p);
        expect(mass(count - 1)).toBeLessThan(p);
      }),
    );
  });

  it("top-k 1 is greedy, whatever is drawn and however hot", () => {
    fc.assert(
      fc.property(
        logitsArbitrary,
        temperature,
        fc.double({ min: 0, max: 1 - 2 ** -53, noNaN: true }),
        (logits, t, u) => {
          const { stream } = scripted(u);
          expect(sampleToken(logits, { ...all, temperature: t, topK: 1 }, stream)).toBe(
            sampleToken(logits, greedy, stream),
          );
        },
      ),
    );
  });
});
