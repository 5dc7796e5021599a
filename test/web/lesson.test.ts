import { describe, expect, it, test } from "vitest";
import { drawToken, filterCandidates } from "#foretoken/generate/sampling/sampler.js";
import { trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import {
  lossOf,
  meaningOf,
  positionOf,
  probabilityAt,
  probabilitySteps,
  recentLoss,
} from "../../web/lesson/chapter/meaning.ts";
import { examplesOf, lastStart, windowAt } from "../../web/lesson/chapter/pairs.ts";
import { choicesOf, cropped, drawn, othersText } from "../../web/lesson/chapter/sampling.ts";
import { isRefused, type LessonText, promptOf, readText } from "../../web/lesson/chapter/text.ts";
import { percentText, standingOf, standingText, timeLeftText } from "../../web/lesson/chapter/words.ts";
import { hashInteger } from "../support/hash.ts";

const accepted = (text: string): LessonText => {
  const read = readText(text);
  if (isRefused(read)) throw new Error(read.refused);
  return read;
};
const story = "Grüße, 🦊 and a fox.\n".repeat(20);

describe("a reader's text", () => {
  it("has the ids that the library's tokenizer gives", () => {
    const { characters, vocabulary } = accepted(story);
    const tokenizer = trainCharTokenizer(story);
    expect(vocabulary.characters).toEqual(tokenizer.characters);
    expect(characters.map((character) => vocabulary.idOf.get(character))).toEqual([...tokenizer.encode(story)]);
  });

  it("is cut where the library cuts it", () => {
    const { characters, trained } = accepted(story);
    expect(characters).toHaveLength(20 * 20);
    expect(trained).toBe(360);
  });

  test.each([
    [
      "",
      "Your text must have at least 200 characters; got none; try a page of a book, a letter, or the built-in text.",
    ],
    [
      "hello",
      "Your text must have at least 200 characters; got 5; try a page of a book, a letter, or the built-in text.",
    ],
    ["a".repeat(300), "Your text must have at least 2 different characters; got only one; try a text with words."],
    [
      "ab".repeat(1_500_000),
      "Your text must have at most 2,000,000 characters; got 3,000,000; try a part of the text.",
    ],
    [
      String.fromCodePoint(...Array.from({ length: 4000 }, (_, i) => 0x4e00 + i)),
      "Your text must have at most 3,000 different characters; got 4,000; try a shorter part of the text.",
    ],
  ])("is refused in one line if it cannot be used", (text, line) => {
    expect(readText(text)).toEqual({ refused: line });
  });

  it("may have half a pair of units, which no character is", () => {
    expect(accepted(`\ud83e${"word ".repeat(60)}`).characters[0]).toBe("\ufffd");
  });

  it("begins a model's writing with its first words", () => {
    expect(promptOf(accepted(`\n\n  ${story}`))).toBe("Grüße, 🦊 and a fox.");
    expect(promptOf(accepted("Call me Ishmael. Some years ago it was. ".repeat(9)))).toBe("Call me Ishmael. Some");
    expect(promptOf(accepted(`${"ab".repeat(200)} c`))).toHaveLength(24);
    expect(promptOf(accepted("\n \n".repeat(100)))).toBe("\n");
  });
});

describe("shifted pairs", () => {
  const hello = [..."HELLO"];

  it("have each character below the one before it", () => {
    const window = windowAt(hello, 0, 4);
    expect(window).toEqual({ x: [..."HELL"], y: [..."ELLO"] });
    expect(examplesOf(window).map(({ sees, isAskedFor }) => `${sees.join("")}→${isAskedFor}`)).toEqual([
      ...["H→E", "HE→L", "HEL→L", "HELL→O"],
    ]);
  });

  it("stay within the text", () => {
    expect(lastStart(5, 2)).toBe(2);
    expect(windowAt(hello, 9, 2)).toEqual({ x: ["L", "L"], y: ["L", "O"] });
    expect(windowAt(hello, -1, 8)).toEqual({ x: [..."HELL"], y: [..."ELLO"] });
  });
});

describe("the meaning of a loss", () => {
  it("is 16 times a guesser's probability at 1.4 nats and 65 characters, and 4 choices", () => {
    const { timesGuessing, choices } = meaningOf(1.4, 65);
    expect(timesGuessing).toBeCloseTo(16.03, 2);
    expect(choices).toBeCloseTo(4.06, 2);
  });

  it("is a guesser's own at ln V", () => {
    const { timesGuessing, probability, choices } = meaningOf(Math.log(65), 65);
    expect([timesGuessing, probability, choices].map((value) => value.toFixed(6))).toEqual([
      ...["1.000000", (1 / 65).toFixed(6), "65.000000"],
    ]);
    expect(lossOf(1 / 65)).toBeCloseTo(4.1744, 4);
  });

  it("has a slider from 0.1 % to 100 %", () => {
    expect([0, 100, 200, probabilitySteps].map(probabilityAt).map((p) => p.toFixed(6))).toEqual([
      ...["0.001000", "0.010000", "0.100000", "1.000000"],
    ]);
    for (const position of [0, 1, 77, 299, 300]) expect(positionOf(probabilityAt(position))).toBe(position);
  });

  it("is told by the mean of the last tenth of the steps", () => {
    expect(recentLoss([9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 1, 2, 3, 4, 5, 6, 7, 8, 1, 3])).toBe(2);
    expect(recentLoss(Float64Array.of(4, 0, 0), 1)).toBe(4);
  });
});

describe("a step of writing", () => {
  const logits = Float32Array.from({ length: 90 }, (_, i) => hashInteger("logits", i, 1000) / 150);
  logits[50] = logits[7] as number;

  test.each([
    [1, 0],
    [0.1, 40],
    [0.8, 40],
    [2, 3],
    [1.3, 1],
    [0.5, 500],
  ])("has the library's choices at temperature %d and top-k %d, and draws alike", (temperature, topK) => {
    const library = filterCandidates(logits, { temperature, topK, topP: 1, minP: 0 });
    const choices = choicesOf(logits, temperature, topK);
    const kept = choices.filter(({ probability }) => probability > 0);
    expect(kept.map(({ id }) => id)).toEqual(library.ids);
    for (const [i, { probability }] of kept.entries())
      expect(probability).toBeCloseTo(library.probabilities[i] ?? 0, 12);
    expect(choices).toHaveLength(logits.length);
    for (let i = 0; i < 200; i++) {
      const number = hashInteger("draw", i, 1e6) / 1e6;
      expect(drawn(choices, number)?.id).toBe(drawToken(library, number).id);
    }
  });

  it("draws the last one that is kept, however near 1 the number is", () => {
    const choices = choicesOf(logits, 1, 3);
    expect(drawn(choices, 1 - 2 ** -53)?.id).toBe(choices[2]?.id);
    expect(drawn(choices, 0)?.id).toBe(choices[0]?.id);
  });

  it("sees the last characters that fit into the context", () => {
    expect(cropped([1, 2, 3], 2)).toEqual([2, 3]);
    expect(cropped([1], 2)).toEqual([1]);
  });

  it("says how many others may be drawn, and how many are left out", () => {
    expect([othersText(43, 11), othersText(43, 0), othersText(11, 11), othersText(1, 0), othersText(3, 2)]).toEqual([
      ...["32 others, 11 left out", "43 others", "11 others", "1 other", "1 other, 2 left out"],
    ]);
  });
});

test("a probability in percent has no powers of ten", () => {
  expect([0, 1.4e-26, 0.001, 0.034, 0.5, 0.999, 0.99951, 1].map(percentText)).toEqual([
    ...[
      "0\u00a0%",
      "<\u00a00.1\u00a0%",
      "0.10\u00a0%",
      "3.40\u00a0%",
      "50.0\u00a0%",
      "99.9\u00a0%",
      ">\u00a099.9\u00a0%",
      "100\u00a0%",
    ],
  ]);
});

describe("the standing of a training", () => {
  const losses = Array.from({ length: 120 }, (_, i) => (i < 50 ? 2.2 : 0.2));
  const measured = [
    { step: 0, loss: 4 },
    { step: 50, loss: 2.25 },
  ];

  it("compares losses of the same step", () => {
    expect(standingOf(losses, measured)?.training).toBeCloseTo(2.2, 12);
    expect(standingOf(losses, measured.slice(0, 1))).toBeUndefined();
    expect(standingOf([], [])).toBeUndefined();
  });

  it("says when a model becomes worse on other text, and that it remembers", () => {
    const standing = standingOf(losses, [...measured, { step: 100, loss: 2.88 }]);
    expect(standing?.best).toEqual({ step: 50, loss: 2.25 });
    const text = standing === undefined ? "" : standingText(standing, 50);
    expect(text).toContain("The best held-out loss was 2.25 at step 50. After that step");
    expect(text).toContain("the loss is 0.20 on the training text and 2.88 on held-out text");
  });

  it("says how much better than guessing an honest one is", () => {
    const standing = standingOf(losses, measured);
    expect(standing === undefined ? "" : standingText(standing, 40)).toBe(
      "The model never learns from the held-out end of the text. On this text, the model gives the right characters 4.2 times the probability of guessing.",
    );
  });
});

test("the time that is left is told by the steps so far", () => {
  expect([timeLeftText(5000, 50, 50), timeLeftText(5000, 10, 84), timeLeftText(5000, 10, 390)]).toEqual([
    ...["a few seconds left", "about 40 seconds left", "about 3 minutes left"],
  ]);
});
