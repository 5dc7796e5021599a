import { describe, expect, it } from "vitest";
import { ranked } from "../../web/inside/heads/ranked.ts";
import { columnsThatFit, lensPage, widestColumn } from "../../web/inside/lens/lens-page.ts";
import { hasShortTokens, leadOf, leadWords, lensRows, rankLines, rowOfStage } from "../../web/inside/lens/lens-rows.ts";
import { isSameModel, modelName, neighbourFailure, openingToken } from "../../web/inside/names.ts";
import {
  canChangeLoss,
  columnPlaces,
  mostRestored,
  openingPlaces,
  restoredBy,
  shownPlace,
} from "../../web/inside/patching/restored.ts";
import { insideAddress, textBefore, textFor, textIn } from "../../web/inside/texts.ts";
import { percent } from "../../web/parts/format.ts";

const kept = (key: string): string => `kept ${key}`;

describe("the texts of the inside", () => {
  it("are those of the address, or without any those that were kept", () => {
    const both = new URLSearchParams({ text: "a b", corrupted: "a c" });
    expect(textIn(both, "text", kept)).toBe("a b");
    expect(textIn(both, "corrupted", kept)).toBe("a c");
    expect(textIn(new URLSearchParams(), "text", kept)).toBe("kept text");
    expect(textIn(new URLSearchParams(), "corrupted", kept)).toBe("kept corrupted");
    expect(textIn(new URLSearchParams(), "text", () => undefined)).toBe("");
  });

  it("of an address with a text alone: no corrupted one, whatever was kept", () => {
    expect(textIn(new URLSearchParams({ text: "a b" }), "corrupted", kept)).toBe("");
  });

  it("are in a link as long as they fit one", () => {
    const query = (text: string) => new URLSearchParams(insideAddress("runs/a b/best", text).split("?")[1]);
    expect(Object.fromEntries(query("x & y\n#"))).toEqual({ model: "runs/a b/best", text: "x & y\n#" });
    expect(Object.fromEntries(query("ж".repeat(1000)))).toEqual({ model: "runs/a b/best" });
  });
});

describe("a text to try", () => {
  const unknownTo = (alphabet: string) => async (one: string) =>
    [...new Set(one)].filter((character) => !alphabet.includes(character));

  it("is the first that the tokenizer can read whole", async () => {
    expect(await textFor(async () => [])).toBe("The capital of France is");
    const withoutF = "The cat sat on the mat because it was tired.";
    expect(await textFor(unknownTo(withoutF))).toBe(withoutF);
    expect(await textFor(unknownTo("9876543210"))).toBe("0123456789");
  });

  it("is shown while a model is read, but not for a run, which has a text of its own", () => {
    expect(textBefore("models/hf:some/model")).toBe("The capital of France is");
    expect(textBefore("runs/a/best")).toBe("");
    expect(textBefore("")).toBe("");
  });

  it("is what the tokenizer can read of one, where it can read none whole", async () => {
    expect(await textFor(unknownTo("aeiou"))).toBe("eaaoeaeaueiaie");
    expect(await textFor(unknownTo(""))).toBe("The capital of France is");
  });
});

it("opens the neighbours on the last word of some length, else on a vowel, else on the first token", () => {
  const named = (...texts: string[]) => texts.map((text, id) => ({ id, text }));
  expect(openingToken(named("The", " capital", " of", " France", " is"))?.text).toBe(" France");
  expect(openingToken(named("T", "h", "e"))?.text).toBe("e");
  expect(openingToken(named("T", "h"))?.text).toBe("T");
  expect(openingToken([])).toBeUndefined();
});

describe("the rows of the lens", () => {
  it("have narrow cells where each token of the text and each prediction is short", () => {
    const named = (text: string) => ({ id: 0, text });
    const position = (text: string, ...predicted: string[]) => ({
      position: 0,
      token: named(text),
      readings: predicted.map((first) => ({
        stage: { kind: "embedding" as const },
        top: [
          { ...named(first), probability: 1, logProb: 0 },
          { ...named("longer"), probability: 0, logProb: Number.NEGATIVE_INFINITY },
        ],
        next: null,
      })),
    });
    expect(hasShortTokens([position("a", "b", "c"), position("b", "\n")])).toBe(true);
    expect(hasShortTokens([position("a", "b"), position("b", "the")])).toBe(false);
    expect(hasShortTokens([position("the", "b")])).toBe(false);
  });

  it("are all stages of a small model, and the layers of a large one, unless others are asked for", () => {
    expect(lensRows(5, null, 4)).toEqual({ rows: "parts", stages: [0, 1, 2, 3, 4] });
    expect(lensRows(5, "layers", 4)).toEqual({ rows: "layers", stages: [0, 2, 4] });
    const large = lensRows(61, null, 60);
    expect([large.rows, large.stages.length, large.stages.at(-1)]).toEqual(["layers", 31, 60]);
    expect(lensRows(61, "parts", 60).stages).toHaveLength(61);
  });

  it("have the chosen stage among them", () => {
    expect(lensRows(61, "layers", 3).rows).toBe("parts");
    expect(rowOfStage("layers", 3)).toBe(4);
    expect(rowOfStage("layers", 0)).toBe(0);
    expect(rowOfStage("parts", 3)).toBe(3);
  });
});

describe("the token that is predicted in the end", () => {
  const reading = (...ids: readonly number[]) => ({ top: ids.map((id) => ({ id })) });

  it("leads from the stage on after which no other does", () => {
    const readings = [reading(7, 1), reading(1, 7), reading(2, 3), reading(3, 7), reading(7, 3), reading(7, 2)];
    expect(leadOf(readings)).toEqual({ first: 4, before: [0], among: 3 });
    expect(leadOf([reading(7), reading(7)])).toEqual({ first: 0, before: [], among: 0 });
  });

  it("is said to stay first where it was first before, with the rows in which it was", () => {
    const stages = [
      { kind: "embedding" as const },
      ...[0, 1, 2, 3, 4, 5].flatMap((layer) => (["attention", "mlp"] as const).map((kind) => ({ kind, layer }))),
    ];
    const from = (...firsts: readonly number[]) =>
      stages.map((stage, n) => {
        const ids = firsts[Math.ceil(n / 2)] === 7 ? [7, 1] : [1, 2];
        return {
          stage,
          top: ids.map((id) => ({ id, text: "", probability: 0.5, logProb: 0 })),
          next: null,
        };
      });
    const layers = lensRows(13, "layers", 12);
    expect(leadWords(from(1, 7, 1, 7, 7, 1, 7), layers)).toEqual([
      "This token stays first from layer 6 on (also first in layers 1 and 3 to 4).",
    ]);
    expect(leadWords(from(7, 1, 1, 1, 1, 1, 7), layers)[0]).toBe(
      "This token stays first from layer 6 on (also first in the embedding).",
    );
    expect(leadWords(from(1, 1, 1, 1, 1, 7, 7), layers)[0]).toBe("This token ranks first from layer 5 on.");
    expect(leadWords(from(1, 7, 1, 7, 7, 1, 7), lensRows(13, "parts", 12))[0]).toBe(
      "This token stays first from layer 6 attention on (also first in layer 1 attention to layer 1 MLP and layer 3 attention to layer 4 MLP).",
    );
  });

  it("has a line for each power of ten that its rank can pass", () => {
    expect(rankLines(49_152)).toEqual([1, 10, 100, 1000, 10_000]);
    expect(rankLines(65)).toEqual([1, 10]);
    expect(rankLines(1)).toEqual([1]);
  });
});

describe("what a patch brings back", () => {
  const reading = (probability: number) => ({ probability, top: [], loss: null });
  const base = { clean: reading(0.8), corrupted: reading(0.2) };

  it("is a part of the way from the corrupted text to the clean one", () => {
    expect(restoredBy(0.5, base)).toBeCloseTo(0.5, 12);
    expect(restoredBy(0.1, base)).toBeLessThan(0);
    expect(restoredBy(0.5, { clean: reading(0.2), corrupted: reading(0.2) })).toBe(0);
  });

  it("is most at the place whose answer is furthest towards the clean text", () => {
    const found = new Map([
      ["0 1", reading(0.3)],
      ["2 3", reading(0.7)],
    ]);
    expect(mostRestored(found, base)).toEqual({ layer: 2, position: 3, probability: 0.7 });
    expect(mostRestored(found, { clean: base.corrupted, corrupted: base.clean })?.layer).toBe(0);
  });

  it("is no loss at the last token, unless earlier tokens see this token", () => {
    const clean = ["a", "b", "c"].map((text, id) => ({ id, text }));
    const change = (position: number, isCausal: boolean) =>
      canChangeLoss({ layer: 0, position }, { shape: { isCausal }, tokens: { clean, corrupted: clean } });
    expect([0, 1, 2].map((position) => change(position, true))).toEqual([true, true, false]);
    expect(change(2, false)).toBe(true);
  });

  it("is shown of the place that the reader chose, else of the best once all are tried", () => {
    const [own, best] = [
      { layer: 0, position: 1 },
      { layer: 2, position: 3 },
    ];
    expect(shownPlace(own, best, false)).toBe(own);
    expect(shownPlace(undefined, best, false)).toBe(best);
    expect(shownPlace(undefined, best, true)).toBeUndefined();
    expect(shownPlace(undefined, undefined, false)).toBeUndefined();
  });
});

describe("the map of patches", () => {
  it("is offered by its two main columns where no cell is tried by itself", () => {
    expect(openingPlaces({ nLayer: 30, parameters: 1.345e8 }, 35, [31])).toEqual([]);
    const places = columnPlaces({ nLayer: 30 }, 35, [31]);
    expect(places).toHaveLength(60);
    expect(new Set(places.map(({ position }) => position))).toEqual(new Set([31, 34]));
    expect(columnPlaces({ nLayer: 2 }, 4, [3])).toHaveLength(2);
  });

  it("is tried by itself in a small model, the columns with the information first", () => {
    const places = openingPlaces({ nLayer: 2, parameters: 1e6 }, 4, [1]);
    expect(places).toHaveLength(8);
    expect(places.slice(0, 4).map(({ position }) => position)).toEqual([1, 1, 3, 3]);
    expect(openingPlaces({ nLayer: 30, parameters: 5e8 }, 5, [3])).toHaveLength(60);
    expect(openingPlaces({ nLayer: 30, parameters: 1e10 }, 5, [3])).toEqual([]);
  });
});

it("small shares have no powers of ten", () => {
  expect([0.00089, 0.0000082, 1e-9].map(percent)).toEqual(["0.089\u00a0%", "0.0008\u00a0%", "below 0.0001\u00a0%"]);
});

describe("the pages of the lens", () => {
  it("end with the text, and join without a gap", () => {
    expect(lensPage(50, 51)).toEqual({ from: 35, to: 51 });
    expect(lensPage(35, 51)).toEqual({ from: 35, to: 51 });
    expect(lensPage(34, 51)).toEqual({ from: 19, to: 35 });
    expect(lensPage(2, 51)).toEqual({ from: 0, to: 3 });
    expect(lensPage(0, 16)).toEqual({ from: 0, to: 16 });
    expect(lensPage(0, 1)).toEqual({ from: 0, to: 1 });
    expect([23, 17, 11, 0].map((at) => lensPage(at, 24, 6).from)).toEqual([18, 12, 6, 0]);
    expect(lensPage(4, 5, 3)).toEqual({ from: 2, to: 5 });
    expect(lensPage(1, 5, 3)).toEqual({ from: 0, to: 2 });
  });

  it("have as many columns as fit", () => {
    expect(columnsThatFit(22.4, "parts", true)).toBe(5);
    expect(columnsThatFit(22.4, "layers", false)).toBe(3);
    expect(columnsThatFit(69, "parts", true)).toBe(16);
    expect(columnsThatFit(69, "layers", false)).toBe(12);
    expect(columnsThatFit(10, "parts", false)).toBe(2);
  });

  it("have columns that all fit, however long their tokens are", () => {
    for (const width of [22.4, 40, 69])
      for (const rows of ["layers", "parts"] as const) {
        const columns = columnsThatFit(width, rows, false);
        const widest = widestColumn(width, rows, columns);
        expect(widest).toBeGreaterThanOrEqual(5.2);
        // The names of the rows, the columns, and the space of 1 pixel beside each column.
        expect((rows === "layers" ? 5 : 7.9) + columns * (widest + 1 / 16)).toBeLessThanOrEqual(width);
      }
    expect(widestColumn(69, "layers", 3)).toBe(8);
  });
});

describe("the ranking of heads", () => {
  it("begins with the largest change, be it a rise or a fall", () => {
    const changes = new Map([
      ["0 0", 0.1],
      ["0 1", -0.3],
      ["1 0", 0.2],
    ]);
    expect(ranked(changes)).toEqual([
      { layer: 0, head: 1, change: -0.3 },
      { layer: 1, head: 0, change: 0.2 },
      { layer: 0, head: 0, change: 0.1 },
    ]);
  });
});

it("a token that is several, or that the model never saw, is answered in a sentence", () => {
  const error = "token: must be the text of one token, or its id; got 5 tokens";
  expect(neighbourFailure({ error, field: "token" })).toBe("That is 5 tokens. Type one token.");
  expect(neighbourFailure({ error: "token: …", characters: ["ж"] })).toBe("Characters that the model never saw: ж");
  expect(neighbourFailure({ error: "no model" })).toBe("no model");
});

it("checkpoints of a run are one model, and other keys are others", () => {
  const all = ["runs/a/best", "runs/a/last", "runs/b/best"].map((key) => ({ key, name: key.split("/")[1] ?? "" }));
  expect(isSameModel(all, "runs/a/best", "runs/a/last")).toBe(true);
  expect(isSameModel(all, "runs/a/best", "runs/b/best")).toBe(false);
  expect(isSameModel([], "models/x", "models/x")).toBe(true);
  expect(modelName([], "models/x")).toBe("models/x");
});
