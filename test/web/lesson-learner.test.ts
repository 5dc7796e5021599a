import { expect, test } from "vitest";
import { openBackend } from "#foretoken/backend/select.node.js";
import * as library from "#foretoken/browser.js";
import { evaluate, measureTokens } from "#foretoken/evaluate/evaluate.js";
import { compiledSize, smallModelConfig } from "#foretoken/lesson/small-model-config.js";
import { createTrainer } from "#foretoken/trainer/trainer.js";
import { filesOf, sessionIn } from "../../web/lesson/engine/keep.ts";
import { createLearner, type Library } from "../../web/lesson/engine/learner.ts";
import type { Report } from "../../web/lesson/engine/messages.ts";
import { configsOf, createSession, openedFacts } from "../../web/lesson/engine/session.ts";
import { wordsText } from "../support/runs.ts";

const text = wordsText("lesson", 300);
const tokenizer = library.trainCharTokenizer(text);
const ids = tokenizer.encode(text);
const size = { ...compiledSize, contextLength: 16, nEmbd: 16, hidden: 32, nHead: 2, batchSize: 4 };

test.each(["causal", "none"] as const)(
  "a learner of the page with mask %s has the losses of the terminal's, to the bit",
  async (mask) => {
    const backend = await library.openBackend("reference");
    const given = { trainTokens: ids.length, seed: 1, mask };
    const config = smallModelConfig(size, given, library.presets.book.train);
    const trainer = createTrainer(backend, config, tokenizer.vocabSize, ids);
    const learner = createLearner(library as unknown as Library, backend, config, tokenizer, ids);
    for (let step = 0; step < 4; step++) expect(await learner.step(step)).toBe((await trainer.step(step)).loss);
    // The trained weights with the causal mask. The terminal evaluates them in this way.
    const masked = { ...trainer.model, config: { ...trainer.model.config, mask: "causal" as const } };
    const never = new AbortController().signal;
    const { natsPerToken } = await evaluate(masked, measureTokens(ids, tokenizer), never);
    expect((await library.evaluate(learner.masked, { text })).natsPerToken).toBe(natsPerToken);
    learner.close();
    trainer.close();
    expect(backend.bytesInUse()).toBe(0);
    await backend.close();
  },
);

test("a session that is kept as files goes on with the losses of one that was not interrupted", async () => {
  const backend = await openBackend("wasm", { threads: 1 });
  const { train, val } = library.splitText(text);
  const trainIds = tokenizer.encode(train);
  const material = {
    ...{ library: library as unknown as Library, backend, tokenizer, prompt: text.slice(0, 5) },
    ...{ trainIds, trained: train, heldOut: val.slice(0, 12) },
  };
  const [told, again]: Report[][] = [[], []];
  const first = createSession(material, "model", (report) => told?.push(report));
  for (let i = 0; i < 3; i++) await first.advance();
  const configs = configsOf(material, "model");
  const files = filesOf("model", configs, await first.read());
  const kept = sessionIn(files, "model", JSON.parse(JSON.stringify(configs)));
  const second = createSession(material, "model", (report) => again?.push(report), kept);
  first.close();
  expect(second.step).toBe(2);
  second.tellAgain();
  const losses = (reports: readonly Report[] = []) =>
    reports.flatMap((report) => (report.kind === "losses" ? (report.losses[0] ?? []) : []));
  expect(losses(again)).toEqual(losses(told));
  expect(again?.filter(({ kind }) => kind !== "losses")).toEqual(told?.filter(({ kind }) => kind !== "losses"));
  const whole: Report[] = [];
  const third = createSession(material, "model", (report) => whole.push(report));
  for (let i = 0; i < 5; i++) await third.advance();
  for (let i = 0; i < 2; i++) await second.advance();
  expect(losses(again)).toEqual(losses(whole));
  // For other models or for the other session, no state is stored.
  expect(sessionIn(files, "model", [])).toBe(undefined);
  expect(sessionIn(files, "race", configs)).toBe(undefined);
  for (const session of [second, third]) session.close();
  await backend.close();
});

test("a race begins with the same weights, tells every step, and looks before the first", async () => {
  const backend = await library.openBackend("reference");
  const reports: Report[] = [];
  const { train, val } = library.splitText(text);
  const material = {
    ...{ library: library as unknown as Library, backend, tokenizer, prompt: text.slice(0, 5) },
    ...{ trainIds: tokenizer.encode(train).slice(0, 20), trained: train, heldOut: val.slice(0, 12) },
  };
  const session = createSession(material, "race", (report) => reports.push(report));
  for (let i = 0; i < 3; i++) await session.advance();
  expect(session.step).toBe(2);
  expect(reports.map(({ kind }) => kind)).toEqual([
    ...["measured", "sample", "measured", "sample", "losses", "losses"],
  ]);
  const [first] = reports.filter((report) => report.kind === "losses");
  expect(first?.losses.map((losses) => losses.length)).toEqual([1, 1]);
  // The model has learned nothing: both losses are close to the loss of guessing.
  for (const [loss = 0] of first?.losses ?? [])
    expect(Math.abs(loss - Math.log(tokenizer.vocabSize))).toBeLessThan(0.4);
  session.close();
  // In a Chinese text, sequences of letters are not words.
  expect(openedFacts(material, 1).hasWords).toBe(true);
  expect(openedFacts({ ...material, trained: "中文没有空格。" }, 1).hasWords).toBe(false);
  await backend.close();
});
