import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import { generate } from "#foretoken/generate/generate.js";
import { attentionOf } from "#foretoken/inside/attention.js";
import { withoutHeads } from "#foretoken/inside/heads.js";
import { lensOf } from "#foretoken/inside/lens.js";
import { neighboursOf } from "#foretoken/inside/neighbours.js";
import { patched } from "#foretoken/inside/patch.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import type { LanguageModel } from "#foretoken/pretrained/model/language-model.js";
import { pairScore } from "#foretoken/serve/studio/inside/pair.js";
import type {
  AttentionAnswer,
  LensAnswer,
  NeighboursAnswer,
  PairAnswer,
  PatchAnswer,
  TokensAnswer,
} from "#foretoken/serve/studio/inside/protocol.js";
import { createJobs } from "#foretoken/serve/studio/jobs.js";
import { openModels } from "#foretoken/serve/studio/models.js";
import type { ScoreAnswer } from "#foretoken/serve/studio/protocol.js";
import { openShelf } from "#foretoken/serve/studio/runs.js";
import { type Studio, startStudio } from "#foretoken/serve/studio/start.js";
import { createTurns } from "#foretoken/serve/studio/turns.js";
import { train } from "#foretoken/worker/train.node.js";
import { catText, eventsOf, pageAt, smallRun } from "./studio.ts";

const contextLength = 24;
const model = "runs/a/last";
const text = "The cat sat on a mat";
const off = [{ layer: 1, head: 0 }];
const place = { layer: 0, position: 0, part: "mlp" } as const;

let folder = "";
let studio: Studio | undefined;
/** The weights of the model in double precision. */
let reference: LanguageModel;
const page = pageAt(
  () => folder,
  () => studio?.url ?? "",
);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-inside-"));
  const small = smallRun("", 12, { learningRate: 0.02, evalInterval: 4 }).config as { model: object; train: object };
  const shape = { ...small.model, contextLength, nLayer: 2, nHead: 2, nEmbd: 16, mlp: { hidden: 32 } };
  const options = { backend: "wasm", threads: 1, keepLast: 2 } as const;
  const config = { ...small, model: shape };
  for await (const event of train({ text: catText, out: page.path("runs", "a"), config, ...options }))
    expect(event.v).toBe(1);
  studio = await startStudio({ folder: page.path("runs"), port: 0, backend: "wasm", threads: 1 });
  reference = await loadPretrained(page.path("runs", "a", "checkpoint"), { backend: "reference" });
});

afterAll(async () => {
  await reference?.close();
  await studio?.close();
  await rm(folder, { recursive: true });
});

const ask = async <T>(path: string, request: object): Promise<T> => {
  const { status, body } = await page.post<T>(`inside/${path}`, { model, ...request });
  expect({ status, body }).toMatchObject({ status: 200 });
  return body;
};

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

describe("attention", () => {
  it("adds up to 1 in each row, has nothing above the diagonal, and is the reference backend's", async () => {
    const { tokens, maps, rows, columns, shape } = await ask<AttentionAnswer>("attention", { text });
    expect(shape).toMatchObject({ nLayer: 2, nHead: 2, contextLength, isCausal: true });
    expect(shape.parameters).toBe(reference.model.layout.count);
    expect(tokens.map((token) => token.text).join("")).toBe(text);
    expect(rows).toEqual(tokens.map((_, i) => ({ from: i, to: i + 1 })));
    expect(columns).toEqual(rows);
    const expected = await attentionOf(reference, text);
    expect(maps.map(({ layer, head }) => [layer, head])).toEqual(expected.maps.map(({ layer, head }) => [layer, head]));
    for (const [m, { values }] of maps.entries()) {
      for (const [i, row] of values.entries()) {
        expect(row).toHaveLength(i + 1);
        expect(sum(row)).toBeCloseTo(1, 6);
        for (const [j, value] of row.entries())
          expect(value).toBeCloseTo(expected.maps[m]?.probabilities[i * tokens.length + j] ?? Number.NaN, 5);
      }
    }
  });

  it("of groups of positions is the mean over rows of the sum over columns", async () => {
    const range = { from: 4, to: 17 };
    const { maps, rows, columns } = await ask<AttentionAnswer>("attention", { text, layers: [1], ...range, cells: 5 });
    expect(rows).toEqual([4, 7, 10, 13, 16].map((from) => ({ from, to: Math.min(17, from + 3) })));
    expect(columns).toEqual([{ from: 0, to: 4 }, ...rows]);
    const { maps: whole } = await attentionOf(reference, text);
    const time = text.length;
    for (const { head, values } of maps) {
      const full = whole.find((map) => map.layer === 1 && map.head === head)?.probabilities ?? [];
      for (const [r, row] of values.entries()) {
        expect(row).toHaveLength(r + 2);
        expect(sum(row)).toBeCloseTo(1, 6);
        const { from, to } = rows[r] ?? { from: 0, to: 0 };
        const { from: first, to: last } = columns[2] ?? { from: 0, to: 0 };
        let total = 0;
        for (let i = from; i < to; i++) for (let j = first; j < last; j++) total += full[i * time + j] ?? 0;
        if (r > 0) expect(row[2]).toBeCloseTo(total / (to - from), 5);
      }
    }
  });

  it("of a text longer than the context is that of its beginning, and says so", async () => {
    const long = catText.slice(0, 60);
    const { tokens, left } = await ask<TokensAnswer>("text", { text: long });
    expect([tokens.length, left]).toEqual([contextLength, 60 - contextLength]);
    const last = await ask<LensAnswer>("lens", { text: long, from: contextLength - 1 });
    expect(last.positions.map(({ position, readings }) => [position, readings[0]?.next])).toEqual([
      [contextLength - 1, null],
    ]);
    const beginning = await ask<AttentionAnswer>("attention", { text: long.slice(0, contextLength), layers: [0] });
    expect((await ask<AttentionAnswer>("attention", { text: long, layers: [0] })).maps).toEqual(beginning.maps);
  });
});

it("the lens is the reference backend's: probabilities, ranks, and the token that follows", async () => {
  const { positions } = await ask<LensAnswer>("lens", { text, from: 2, to: 7, top: 3 });
  const expected = await lensOf(reference, text, { positions: [2, 3, 4, 5, 6], top: 3 });
  expect(positions.map(({ position, token }) => [position, token])).toEqual(
    expected.map(({ position, token }) => [position, token]),
  );
  for (const [p, { readings }] of positions.entries()) {
    for (const [s, { stage, top, next }] of readings.entries()) {
      const one = expected[p]?.readings[s];
      expect(stage).toEqual(one?.stage);
      expect(next?.text).toBe(text[p + 3]);
      expect(next?.probability).toBeCloseTo(one?.next?.probability ?? Number.NaN, 5);
      for (const [n, { probability }] of top.entries())
        expect(probability).toBeCloseTo(one?.top[n]?.probability ?? Number.NaN, 5);
    }
  }
});

it("neighbours are the reference backend's", async () => {
  const { token, neighbours } = await ask<NeighboursAnswer>("neighbours", { token: "a", top: 4 });
  const expected = await neighboursOf(reference, "a", { top: 4 });
  expect(token).toEqual(expected.token);
  expect(neighbours.map(({ id }) => id)).toEqual(expected.neighbours.map(({ id }) => id));
  for (const [n, { cosine }] of neighbours.entries())
    expect(cosine).toBeCloseTo(expected.neighbours[n]?.cosine ?? Number.NaN, 5);
});

describe("heads switched off", () => {
  const long = catText.slice(0, 200);
  const score = async (headsOff?: object) =>
    (await page.post<ScoreAnswer>("score", { model, text: long, headsOff })).body;

  it("change the loss as evaluate measures it without them, and only for who asked", async () => {
    const before = await score();
    const without = await score(off);
    expect(without.natsPerToken).not.toBeCloseTo(before.natsPerToken, 4);
    const expected = await evaluate(withoutHeads(reference, off), { text: long });
    expect(without.natsPerToken).toBeCloseTo(expected.natsPerToken, 5);
    expect(without.bitsPerByte).toBeCloseTo(expected.bitsPerByte, 5);
    expect((await score()).total).toBe(before.total);
  });

  it("do not mix between clients that ask at once, also where one of them leaves", async () => {
    const lists = [[], off, [{ layer: 0, head: 0 }], [...off, { layer: 0, head: 1 }]];
    const alone: number[] = [];
    for (const list of lists) alone.push((await score(list)).total);
    expect(new Set(alone).size).toBe(lists.length);
    const settings = { maxNewTokens: 100_000 };
    const together = Array.from({ length: 24 }, async (_, n) => {
      if (n % 6 === 5) {
        const leaves = eventsOf(await page.stream("generate", { model, prompt: "The", settings, headsOff: off }));
        for (let i = 0; i < n; i++) await leaves.next();
        await leaves.return();
        return;
      }
      expect((await score(lists[n % 4])).total).toBe(alone[n % 4]);
    });
    await Promise.all(together);
    // After all these requests, the maps still equal the maps of the whole model.
    const { maps } = await ask<AttentionAnswer>("attention", { text, layers: [1], heads: [1] });
    const expected = await attentionOf(reference, text, { layers: [1], heads: [1] });
    expect(maps[0]?.values[9]?.[3]).toBeCloseTo(expected.maps[0]?.probabilities[9 * text.length + 3] ?? Number.NaN, 5);
  });

  it("stay as they are for a client that left while its model was loaded", async () => {
    const turns = createTurns(() => {});
    const shelf = openShelf(
      page.path("runs"),
      createJobs(turns, () => {}),
    );
    const models = openModels({ shelf, named: [], backend: "wasm", threads: 1 });
    try {
      const place = await models.placeOf(model);
      const left = new AbortController();
      const leaves = models.load(place, { headsOff: off, signal: left.signal });
      left.abort();
      const stays = models.load(place, { headsOff: [], signal: new AbortController().signal });
      await expect(leaves).rejects.toThrow(left.signal.reason);
      const { total } = await (await stays).score(long);
      expect(total).toBe((await score()).total);
    } finally {
      await models.close();
    }
  });

  it("change the text that is written, as in the library", async () => {
    const settings = { maxNewTokens: 12, temperature: 0.8, topK: 5, seed: 3 };
    const textOf = async (headsOff: object): Promise<unknown> => {
      let last: unknown;
      for await (const { data } of eventsOf(
        await page.stream("generate", { model, prompt: "The", settings, headsOff }),
      ))
        last = data.text;
      return last;
    };
    const lm = await loadPretrained(page.path("runs", "a", "checkpoint"), { backend: "wasm", threads: 1 });
    const expected: string[] = [];
    for await (const event of generate(withoutHeads(lm, off), { ...settings, prompt: "The" }))
      if (event.type === "done") expected.push(event.text);
    await lm.close();
    expect([await textOf(off)]).toEqual(expected);
    expect([await textOf([])]).not.toEqual(expected);
  });
});

it("patched texts predict what the library's do", async () => {
  const corrupted = "The mat sat on a cat";
  const places = [
    { layer: 0, position: 4, part: "attention" },
    { layer: 1, position: 19, part: "residual" },
    { layer: 0, position: 0, part: "residual" },
  ] as const;
  const answer = await ask<PatchAnswer>("patch", { clean: text, corrupted, places, at: 18 });
  const probability = (logits: ArrayLike<number>): number => {
    const width = reference.tokenizer.vocabSize;
    const row = Array.from({ length: width }, (_, v) => Math.exp(logits[18 * width + v] ?? Number.NaN));
    return (row[answer.answer.id] ?? Number.NaN) / sum(row);
  };
  for (const [n, place] of places.entries()) {
    const { logits, loss } = await patched(reference, { clean: text, corrupted, ...place });
    expect(answer.patched[n]?.loss).toBeCloseTo(loss ?? Number.NaN, 5);
    expect(answer.patched[n]?.probability).toBeCloseTo(probability(logits.data), 5);
  }
  expect(answer.clean.probability).toBeCloseTo(
    probability((await reference.logits(reference.tokenizer.encode(text))).data),
    5,
  );
  expect(answer.corrupted.probability).toBeCloseTo(
    probability((await reference.logits(reference.tokenizer.encode(corrupted))).data),
    5,
  );
  expect(answer.clean.top[0]).toMatchObject({ ...answer.answer, probability: answer.clean.probability });
  // A patch at a later position than the examined position changes nothing.
  expect(answer.patched[1]).toMatchObject({ probability: answer.corrupted.probability });
  expect(answer.patched[2]?.probability).toBe(answer.corrupted.probability);
});

it("gives two texts with the same prediction no score, and a higher score to surer predictions", () => {
  const candidate = (id: number, probability: number) => ({
    id,
    text: `${id}`,
    probability,
    logProb: Math.log(probability),
  });
  const clean = [candidate(1, 0.8), candidate(2, 0.1)];
  expect(pairScore(clean, [candidate(1, 0.5), candidate(2, 0.4)])).toBe(0);
  expect(pairScore(clean, [candidate(2, 0.5), candidate(1, 0.4)])).toBeCloseTo(0.4 * 0.5, 12);
  expect(pairScore(clean, [candidate(3, 0.9)])).toBeCloseTo(0.8 * 0.9, 12);
  expect(pairScore(clean, [])).toBe(0);
});

it("proposes two texts that differ in one token, and after which the model predicts different tokens", async () => {
  const config = smallRun("", 80, {
    learningRate: 0.03,
    evalInterval: 40,
    checkpointInterval: 40,
    batchSize: 8,
  }).config;
  const shape = { contextLength: 16, nLayer: 1, nHead: 2, nEmbd: 32, mlp: { hidden: 64 } };
  const options = { backend: "wasm", threads: 1 } as const;
  const data = "I speak to you. I swear to you. ".repeat(60);
  for await (const _ of train({
    text: data,
    out: page.path("runs", "b"),
    config: { ...config, model: shape },
    ...options,
  }));
  const learned = { model: "runs/b/last" };
  const { pair } = await ask<PairAnswer>("pair", { ...learned, text: data.slice(0, 64) });
  if (pair === null) throw new Error("no pair");
  const { clean, corrupted, tokens } = await ask<PatchAnswer>("patch", { ...learned, ...pair, places: [] });
  const changed = tokens.clean.flatMap(({ id }, n) => (id === tokens.corrupted[n]?.id ? [] : [n]));
  expect(changed).toHaveLength(1);
  // The changed token is some way before the prediction, so that a map shows how the information moves.
  expect(tokens.clean.length - (changed[0] ?? 0)).toBeGreaterThanOrEqual(3);
  expect(clean.top[0]?.id).not.toBe(corrupted.top[0]?.id);
  expect(data).toContain(pair.clean);

  const whole = await ask<PairAnswer>("pair", { ...learned, text: pair.clean, whole: true });
  expect(whole.pair?.clean).toBe(pair.clean);
  expect(whole.pair?.corrupted).toHaveLength(pair.clean.length);
  const both = await ask<PatchAnswer>("patch", { ...learned, ...whole.pair, places: [] });
  expect(both.clean.top[0]?.id).not.toBe(both.corrupted.top[0]?.id);
  expect(await ask<PairAnswer>("pair", { text: "T", whole: true })).toMatchObject({ pair: null });
  // The text is longer than the context.
  expect(await ask<PairAnswer>("pair", { text: catText, whole: true })).toMatchObject({ pair: null });
});

it.each([
  ["attention", { text: "" }, 400, "text"],
  ["attention", { text: "жук" }, 400, "text"],
  ["attention", { text, layers: [2] }, 400, "layers.0"],
  ["attention", { text, heads: [-1] }, 400, "heads.0"],
  ["attention", { text, heads: [] }, 400, "heads"],
  ["attention", { text, to: 21 }, 400, "to"],
  ["attention", { text, from: 9, to: 9 }, 400, "from"],
  ["attention", { text, cells: 257 }, 400, "cells"],
  ["attention", { text, layers: Array(2000).fill(0) }, 400, "attention"],
  ["attention", { text, model: "runs/a/../a" }, 404, "model"],
  ["attention", { text, model: "/etc/passwd" }, 404, "model"],
  ["attention", { text, more: 1 }, 400, undefined],
  ["lens", { text, from: 20 }, 400, "from"],
  ["lens", { text, top: 0 }, 400, "top"],
  ["lens", { text, next: 1_000_000 }, 400, "next"],
  ["neighbours", { token: "The" }, 400, "token"],
  ["neighbours", { token: 1000 }, 400, "token"],
  ["neighbours", { token: "a", of: "<b>" }, 400, "of"],
  ["pair", { text: "жук" }, 400, "text"],
  ["patch", { clean: text, corrupted: "The", places: [] }, 400, "corrupted"],
  ["patch", { clean: catText, corrupted: catText, places: [] }, 400, "clean"],
  ["patch", { clean: text, corrupted: text, places: [place, { ...place, layer: 9 }] }, 400, "places.1.layer"],
  ["patch", { clean: text, corrupted: text, places: [{ ...place, position: 20 }] }, 400, "places.0.position"],
  ["patch", { clean: text, corrupted: text, places: [], answer: 1e6 }, 400, "answer"],
  ["patch", { clean: text, corrupted: text, places: [], at: 20 }, 400, "at"],
  ["../score", { text, headsOff: [{ layer: 5, head: 0 }] }, 400, "headsOff.0.layer"],
  ["../score", { text, headsOff: "all" }, 400, "headsOff"],
] as const)(
  "%s refuses request %# of the list in one line that names the field",
  async (path, request, status, field) => {
    const answer = await page.post<{ error: string; field?: string }>(`inside/${path}`, { model, ...request });
    expect(answer.status).toBe(status);
    expect(answer.body.error).toMatch(/^[^\n]{10,300}$/u);
    expect(answer.body.field).toBe(field);
  },
);
