import { expect, it } from "vitest";
import { samplingWords } from "../../web/playground/sampling-words.ts";
import { figuresOf } from "../../web/playground/score-figures.ts";

it("the figures of a measured text are those that a reader computes from them", () => {
  const total = -13 * 1.7319;
  const figures = figuresOf({
    predicted: { tokens: 13, characters: 59, bytes: 60 },
    total,
    natsPerToken: -total / 13,
    natsPerCharacter: -total / 59,
    bitsPerByte: -total / Math.LN2 / 60,
  });
  expect(figures).toEqual([
    { label: "Bits per byte", value: "0.5414", note: "over 60 bytes; comparable across tokenizers" },
    { label: "Nats per token", value: "1.7319", note: "mean of 13 predicted tokens" },
    { label: "Nats per character", value: "0.3816", note: "over 59 characters; comparable across tokenizers" },
    { label: "Total bits", value: "32.5", note: "to encode these 13 tokens with this model" },
  ]);
  expect((13 * 1.7319) / Math.LN2).toBeCloseTo(32.5, 1);
  expect(60 * 0.5414).toBeCloseTo(32.5, 1);
});

it("a long text has whole bits, and one token is in the singular", () => {
  const of = (tokens: number, total: number) =>
    figuresOf({
      predicted: { tokens, characters: 1, bytes: 1 },
      ...{ total, natsPerToken: 1, natsPerCharacter: 1, bitsPerByte: 1 },
    });
  expect(of(2500, -3000 * Math.LN2)[3]).toMatchObject({
    value: "3,000",
    note: expect.stringContaining("2,500 tokens"),
  });
  expect(of(1, -Math.LN2).map(({ note }) => note)).toEqual([
    expect.stringContaining("over 1 byte;"),
    "mean of 1 predicted token",
    expect.stringContaining("over 1 character;"),
    "to encode this token with this model",
  ]);
});

it("sampling settings in short leave out what leaves out no token", () => {
  expect(samplingWords({ temperature: 0.8, topK: 40, topP: 1, minP: 0 })).toBe("temperature 0.8, top-k 40");
  expect(samplingWords({ temperature: 1, topK: 0, topP: 0.9, minP: 0.05 })).toBe(
    "temperature 1, top-p 0.9, min-p 0.05",
  );
  expect(samplingWords({ temperature: 0, topK: 0, topP: 1, minP: 0 })).toBe("temperature 0");
});
