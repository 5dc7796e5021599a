import { expect, it } from "vitest";

interface Coefficients {
  readonly [name: string]: number;
}
interface Case {
  readonly model: string;
  readonly ranks: number;
  readonly fitted: boolean;
}
interface Fitted {
  readonly coefficients: Coefficients;
  readonly rows: readonly (Case & { readonly error: number })[];
}

// The import uses a URL, because the benchmarks have no types.
const load = async (file: string): Promise<unknown> =>
  import(new URL(`../../bench/ranks/${file}`, import.meta.url).href);
const { cases } = (await load("cases.mjs")) as { readonly cases: readonly Case[] };
const { factsOf } = (await load("measure.mjs")) as { factsOf(one: Case): { bytes: number; messages: number } };
const { sentIn, stepTime } = (await load("model.mjs")) as {
  sentIn(parameters: number, ranks: number): Readonly<Record<"bytes" | "messages" | "rounds", number>>;
  stepTime(
    coefficients: Coefficients,
    facts: object,
  ): { readonly total: number; readonly waiting: number; readonly handling: number };
};
const { checkLine, fitCases, sections } = (await load("sections.mjs")) as {
  checkLine(fitted: Fitted): string;
  fitCases(results: object): Fitted;
  sections(results: object): Readonly<Record<string, string>>;
};

const truth = {
  perFlopFloat32: 6e-12,
  perFlopBfloat16: 1.5e-12,
  perActivationFloat32: 4e-9,
  perActivationBfloat16: 2e-9,
  perLayer: 2e-4,
  perParameter: 6e-10,
  perOwnParameter: 1.2e-9,
  perByte: 8e-10,
  perTcpByte: 6e-10,
  perMessage: 1e-4,
  contention: 0.08,
  sharing: 0.05,
};
const machine = { cpu: "Some CPU", cores: 2, memoryBytes: 2 ** 33, system: "Linux", node: "v20.0.0" };

/** Results in which steps take exactly the time that the model predicts. */
const resultsOf = (coefficients: Coefficients) => ({
  machine,
  cases: cases.map((one) => {
    const facts = factsOf(one);
    const sent = { bytes: facts.bytes, messages: facts.messages };
    return { ...one, instructionSet: "amx", seconds: stepTime(coefficients, facts).total, sent };
  }),
});

it.each([0, 0.5, 0.8])(
  "finds the coefficients that steps were made with, with %s of communication hidden",
  (hidden) => {
    const fitted = fitCases(resultsOf({ ...truth, hidden }));
    for (const { error } of fitted.rows) expect(Math.abs(error)).toBeLessThan(0.01);
    expect(fitted.coefficients.hidden).toBeCloseTo(hidden, 1);
    const perFlop = fitted.coefficients.perFlopFloat32 ?? Number.NaN;
    expect(Math.abs(perFlop / truth.perFlopFloat32 - 1)).toBeLessThan(0.02);
  },
);

it("says which checked cases are too far from the model", () => {
  const results = resultsOf({ ...truth, hidden: 0 });
  const wrong = results.cases.findIndex(({ fitted }) => !fitted);
  const slower = results.cases.map((one, i) => (i === wrong ? { ...one, seconds: 1.5 * one.seconds } : one));
  expect(checkLine(fitCases(results))).toContain("none above 15%");
  const line = checkLine(fitCases({ ...results, cases: slower }));
  expect(line).toContain("worst 33.3%; 1 above 15%");
});

it("does not fit what it checks", () => {
  const results = resultsOf({ ...truth, hidden: 0 });
  const others = results.cases.map((one) => (one.fitted ? one : { ...one, seconds: 9 * one.seconds }));
  expect(fitCases({ ...results, cases: others }).coefficients).toEqual(fitCases(results).coefficients);
});

it("waits for the longer of communication and the backward pass where one hides the other", () => {
  const facts = { ...factsOf(cases.find(({ ranks }) => ranks === 2) as Case), bytesPerSecond: 1e8, latency: 0 };
  const { waiting: open, handling } = stepTime({ ...truth, hidden: 0 }, facts);
  // The core handles messages while other messages are being transferred.
  expect(open).toBeCloseTo(facts.bytes / 1e8 - handling, 6);
  expect(stepTime({ ...truth, hidden: 1 }, facts).waiting).toBeLessThan(open);
  expect(stepTime({ ...truth, hidden: 1 }, { ...facts, bytesPerSecond: 1e12 }).waiting).toBe(0);
});

it("counts the bytes and messages of a sum by halves", () => {
  expect(sentIn(1000, 1)).toEqual({ bytes: 0, messages: 0, rounds: 0 });
  // A bucket of matrices and a bucket of vectors are sent in both directions. The loss and the norm are sent, too.
  expect(sentIn(1000, 4)).toEqual({ bytes: 6000, messages: 12, rounds: 8 });
  expect(sentIn(8 * 2 ** 20, 2)).toEqual({ bytes: 32 * 2 ** 20, messages: 20, rounds: 8 });
});

it("writes every table of the page", () => {
  const written = sections(resultsOf({ ...truth, hidden: 0 }));
  expect(written["scaling-cases"]).toContain("middle, float32, short step, 2 ranks, TCP 2 Gbit/s");
  expect(written["scaling-sums"]).toBe("Not measured.\n");
  for (const text of Object.values(written)) expect(text).not.toMatch(/NaN|undefined|Infinity/u);
});
