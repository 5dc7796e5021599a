import { expect, it } from "vitest";
import { movedWords, textsWords } from "../../web/inside/patching/words.ts";
import { percent } from "../../web/parts/format.ts";

const named = (texts: string) => [...texts].map((text) => ({ id: text.charCodeAt(0), text }));
const reading = (text: string, probability: number, answer = probability) => ({
  probability: answer,
  top: [{ id: text.charCodeAt(0), text, probability, logProb: Math.log(probability) }],
  loss: null,
});
const shapeOf = (nLayer: number) => ({
  ...{ nLayer, nHead: 1, contextLength: 8, vocabSize: 9, parameters: 100 },
  ...{ isCausal: true, tieEmbeddings: true },
});
const base = {
  shape: shapeOf(3),
  tokens: { clean: named("shal"), corrupted: named("smal") },
  at: 3,
  answer: { id: "l".charCodeAt(0), text: "l" },
  clean: reading("l", 0.9),
  corrupted: reading("k", 0.8, 0.1),
  patched: [],
};
type Readings = readonly ReturnType<typeof reading>[];
const found = (early: Readings, late: Readings) =>
  new Map([early, late].flatMap((all, n) => all.map((one, layer) => [`${layer} ${1 + 2 * n}`, one])));
/** Readings that predict the answer "l" with the given probabilities. A negative number predicts another token. */
const readings = (...shares: readonly number[]): Readings =>
  shares.map((one) => (one < 0 ? reading("k", 0.7, -one) : reading("l", one)));
const plain = (text: string | undefined) => text?.replaceAll("\u00a0", " ");

it("say how the texts differ and what the model predicts after each of them, one fact in a sentence", () => {
  expect(plain(textsWords(base))).toBe(
    "The two texts differ in one character: “h” and “m”. After the first text, the model predicts “l” (90.0 %). After the second text, it predicts “k” (80.0 %). There, “l” has 10.0 %.",
  );
  expect(plain(textsWords({ ...base, corrupted: reading("l", 0.6) }))).toMatch(
    /it predicts “l” \(60\.0 %\), too\. So the map shows only changes of its probability\.$/u,
  );
  const tokens = { ...base.tokens, corrupted: named("smil") };
  expect(textsWords({ ...base, tokens })).toMatch(/^The two texts differ in 2 tokens\. /u);
  expect(plain(textsWords({ ...base, clean: reading("k", 0.8, 0.3) }))).toContain(
    "After the first text, “l” has 30.0 %.",
  );
});

it("say at which layers a copy brings the prediction back, and which layers move it", () => {
  expect(plain(movedWords(found(readings(0.85, 0.6, -0.2), readings(-0.1, 0.56, 0.9)), base))).toBe(
    "Copied at token 2, where the texts differ, the states of layers 1 to 2 make the model predict “l” again (60.0 % to 85.0 %). Copied at token 4, the last, the states from layer 2 on make the model predict “l” again (56.0 % to 90.0 %). So layer 2 moves this information to the last token.",
  );
  expect(plain(movedWords(found(readings(-0.3, -0.2, -0.2), readings(-0.1, -0.2, 0.9)), base))).toBe(
    "Copied at token 2, where the texts differ, no state makes the model predict “l” again (at most 30.0 %). Copied at token 4, the last, the state of layer 3 makes the model predict “l” again (90.0 %). So layers 1 to 3 move this information to the last token.",
  );
  const tokens = { ...base.tokens, corrupted: named("smil") };
  const all = found(readings(0.8, 0.8, 0.8), readings(0.8, 0.8, 0.8));
  expect(movedWords(all, { ...base, tokens })).toBeUndefined();
  expect(movedWords(all, { ...base, corrupted: reading("l", 0.6) })).toBeUndefined();
  expect(movedWords(found(readings(0.85), readings(-0.1)), base)).toBeUndefined();
});

/** Numbers from 0 to 1 that are the same in each run. */
const randomFrom = (seed: number) => {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
};

/** Layers that a sentence names. */
const layersIn = (sentence: string, nLayer: number): readonly number[] => {
  if (sentence.includes("no state makes")) return [];
  const all = Array.from({ length: nLayer }, (_, n) => n + 1);
  if (sentence.includes("the states of all layers")) return all;
  const from = /from layer (\d+) on/u.exec(sentence)?.[1];
  if (from !== undefined) return all.filter((layer) => layer >= Number(from));
  const [, list = ""] = /of layers? ([\d,toand ]+) makes? /u.exec(sentence) ?? [];
  return list.split(/, | and /u).flatMap((range) => {
    const [first = 0, last = first] = range.split(" to ").map(Number);
    return all.filter((layer) => layer >= first && layer <= last);
  });
};

it("agree with any map: each named layer, each number, and the layers that move the information", () => {
  const random = randomFrom(7);
  for (let n = 0; n < 500; n++) {
    const nLayer = 1 + Math.floor(7 * random());
    const sureness = random();
    const column = () => readings(...Array.from({ length: nLayer }, () => (random() < sureness ? 1 : -1) * random()));
    const columns = [column(), column()] as const;
    const words = movedWords(found(...columns), { ...base, shape: shapeOf(nLayer) });
    const sentences = words?.split(/(?<=\.) (?=[CS])/u) ?? [];
    const predicted = columns.map((all) => all.flatMap(({ top }, layer) => (top[0]?.text === "l" ? [layer + 1] : [])));
    for (const [i, all] of columns.entries()) {
      const sentence = sentences[i] ?? "";
      const own = predicted[i] ?? [];
      expect(layersIn(sentence, nLayer), sentence).toEqual(own);
      const shares = all
        .filter((_, layer) => own.length === 0 || own.includes(layer + 1))
        .map((one) => one.probability);
      const [least, most] = [percent(Math.min(...shares)), percent(Math.max(...shares))];
      const numbers = own.length === 0 ? `at most ${most}` : least === most ? most : `${least} to ${most}`;
      expect(sentence).toContain(`(${numbers})`);
    }
    const [early = [], late = []] = predicted;
    const isMoved =
      late.length > 0 && late.length === nLayer - (late[0] ?? 0) + 1 && early.length === (early.at(-1) ?? 0);
    expect(sentences).toHaveLength(isMoved ? 3 : 2);
    const to = /layers? (?:\d+ to )?(\d+) move/u.exec(sentences[2] ?? "")?.[1];
    if (isMoved) expect(Number(to)).toBe(late[0]);
  }
});
