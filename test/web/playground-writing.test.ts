import { afterAll, beforeAll, expect, it, vi } from "vitest";
import type { WritingEvent } from "#foretoken/serve/studio/protocol.js";
import type { Writing } from "../../web/playground/writing.ts";

type Playground = typeof import("../../web/playground/writing.ts");

/** How long the tests wait for a request: the machine may be busy. */
const wait = { timeout: 50_000 };

const kept = new Map<string, string>();
const storage = {
  getItem: (key: string) => kept.get(key) ?? null,
  setItem: (key: string, value: string) => void kept.set(key, value),
  removeItem: (key: string) => void kept.delete(key),
};
/** A request to the studio's server, and the body of its response. The test writes this body. */
const asked: { readonly body: string; readonly answer: ReadableStreamDefaultController<Uint8Array> }[] = [];
let playground: Playground;

beforeAll(async () => {
  vi.stubGlobal("sessionStorage", storage);
  vi.stubGlobal("localStorage", storage);
  vi.stubGlobal("location", {
    hash: "",
    pathname: "/playground",
    search: "?model=runs/a/last",
    href: "http://localhost/",
  });
  vi.stubGlobal("window", new EventTarget());
  vi.stubGlobal("document", new EventTarget());
  vi.stubGlobal("requestAnimationFrame", () => 1);
  vi.stubGlobal("cancelAnimationFrame", () => {});
  vi.stubGlobal("fetch", async (_path: string, { body }: { readonly body: string }) => {
    const stream = new ReadableStream<Uint8Array>({ start: (answer) => void asked.push({ body, answer }) });
    return new Response(stream);
  });
  playground = await import("../../web/playground/writing.ts");
});
afterAll(() => {
  vi.unstubAllGlobals();
});

const tell = (answer: ReadableStreamDefaultController<Uint8Array>, event: WritingEvent): void =>
  answer.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(event)}\n\n`));

it("a branch is under way until its text is whole, and begins with the tokens before it and the chosen one", async () => {
  const { branch, shownOf, underWay, writings } = playground;
  const token = (id: number) => ({ id, text: `${id}`, probability: 0.5, candidates: [], isChosen: false });
  const from: Writing = {
    id: 7,
    parent: null,
    shared: 0,
    side: "left",
    model: "runs/a/last",
    modelName: "a",
    prompt: "p",
    about: "",
    tokens: [token(1), token(2), token(3)],
    state: "done",
    note: "",
    paused: [],
    sharedWith: [],
  };
  const branched = branch("left", from, 1, { id: 9, text: "9", probability: 0.1, logProb: Math.log(0.1) });
  const [request] = await vi.waitUntil(() => (asked.length > 0 ? asked : undefined), wait);
  if (request === undefined) throw new Error("nothing was asked");
  // By then, all work that does not wait for the response is done.
  await new Promise(setImmediate);
  expect(JSON.parse(request.body)).toMatchObject({ model: "runs/a/last", prompt: "p", promptIds: [1, 9] });
  expect(underWay.value).toBeInstanceOf(AbortController);
  expect(shownOf("left")).toMatchObject({ parent: 7, shared: 2, state: "writing" });

  tell(request.answer, { type: "token", id: 4, text: "4", probability: 0.25 } as WritingEvent);
  tell(request.answer, { type: "done", finishReason: "length" } as WritingEvent);
  request.answer.close();
  await branched;
  expect(underWay.value).toBeUndefined();
  expect(writings.value).toHaveLength(1);
  const whole = shownOf("left");
  expect(whole).toMatchObject({ state: "done", note: "" });
  expect(whole?.tokens.map(({ id, isChosen }) => [id, isChosen])).toEqual([
    [1, false],
    [9, true],
    [4, false],
  ]);
});

it("the token that ends a text is known as its end", async () => {
  const { write, shownOf } = playground;
  const asks = asked.length;
  const written = write(["left"]);
  const request = (await vi.waitUntil(() => (asked.length > asks ? asked : undefined), wait))[asks];
  if (request === undefined) throw new Error("nothing was asked");
  const token = { type: "token", id: 4, text: "4", probability: 0.25 };
  tell(request.answer, token as WritingEvent);
  tell(request.answer, { ...token, id: 0, text: "" } as WritingEvent);
  tell(request.answer, { type: "done", finishReason: "endOfText" } as WritingEvent);
  request.answer.close();
  await written;
  expect(shownOf("left")).toMatchObject({ state: "done", note: "The model ended the text." });
  expect(shownOf("left")?.tokens.map(({ isEnd = false }) => isEnd)).toEqual([false, true]);
});

it("the last token of a form that is complete is text, and no end", async () => {
  const { write, shownOf } = playground;
  const asks = asked.length;
  const written = write(["left"]);
  const request = (await vi.waitUntil(() => (asked.length > asks ? asked : undefined), wait))[asks];
  if (request === undefined) throw new Error("nothing was asked");
  tell(request.answer, { type: "token", id: 4, text: "}", probability: 0.25 } as WritingEvent);
  tell(request.answer, { type: "done", finishReason: "endOfText" } as WritingEvent);
  request.answer.close();
  await written;
  expect(shownOf("left")).toMatchObject({ state: "done", note: "The form is complete." });
  expect(shownOf("left")?.tokens.map(({ isEnd = false }) => isEnd)).toEqual([false]);
});

it("a text that is written again word for word is kept once, and one that differs beside it", async () => {
  const { forgetAll, shown, write, writings } = playground;
  forgetAll();
  const writeOne = async (...ids: readonly number[]): Promise<void> => {
    const asks = asked.length;
    const written = write(["left"]);
    const request = (await vi.waitUntil(() => (asked.length > asks ? asked : undefined), wait))[asks];
    if (request === undefined) throw new Error("nothing was asked");
    for (const id of ids) tell(request.answer, { type: "token", id, text: `${id}`, probability: 0.25 } as WritingEvent);
    tell(request.answer, { type: "done", finishReason: "length" } as WritingEvent);
    request.answer.close();
    await written;
  };
  await writeOne(4, 5);
  await writeOne(4, 6);
  await writeOne(4, 5);
  expect(writings.value.map(({ id }) => id)).toEqual([1, 2]);
  expect(shown.value.left).toBe(1);
});

it.each([
  [["ж"], "The model never saw this character of the prompt: “ж”. Leave it out."],
  [["ж", "\n"], "The model never saw these characters of the prompt: “ж” “↵”. Leave them out."],
  [undefined, "prompt: must be short; got more; try less"],
])("a prompt that the model cannot read fails in the words of the page: %j", async (characters, note) => {
  const { write, shownOf } = playground;
  const asks = asked.length;
  const written = write(["left"]);
  const request = (await vi.waitUntil(() => (asked.length > asks ? asked : undefined), wait))[asks];
  if (request === undefined) throw new Error("nothing was asked");
  const error = characters === undefined ? note : 'prompt: must be known; got "ж"; try unknown: "skip"';
  tell(request.answer, { type: "failed", error, ...(characters === undefined ? {} : { characters }) });
  request.answer.close();
  await written;
  expect(shownOf("left")).toMatchObject({ state: "failed", note });
  expect(shownOf("left")?.unknown).toEqual(characters);
});

it("a prompt is written again without the characters that the model never saw", async () => {
  const { settings, change } = await import("../../web/playground/settings.ts");
  change({ prompt: "Grüße" });
  const asks = asked.length;
  const written = playground.writeWithout(["ü", "ß"], ["left"]);
  const request = (await vi.waitUntil(() => (asked.length > asks ? asked : undefined), wait))[asks];
  expect(JSON.parse(request?.body ?? "")).toMatchObject({ prompt: "Gre" });
  expect(settings.value.prompt).toBe("Gre");
  request?.answer.close();
  await written;
});

it("a form is asked for with the text; one that is refused is wrong at its field until it is changed", async () => {
  const { write, shownOf } = playground;
  const { change, formWrong, isFormReady } = await import("../../web/playground/settings.ts");
  change({ form: "regex", formTexts: { regex: "(" }, guesses: true });
  const asks = asked.length;
  const written = write(["left"]);
  const request = (await vi.waitUntil(() => (asked.length > asks ? asked : undefined), wait))[asks];
  if (request === undefined) throw new Error("nothing was asked");
  const constraint = { kind: "regex", pattern: "(" };
  expect(JSON.parse(request.body)).toMatchObject({ constraint, speculate: "ngram" });
  tell(request.answer, { type: "failed", error: "constraint.pattern: must be one", field: "constraint" });
  request.answer.close();
  await written;
  expect(shownOf("left")).toMatchObject({ state: "failed", note: "The form of the text is not valid." });
  expect([formWrong(), isFormReady()]).toEqual(["Regular expression: must be one", true]);
  change({ formTexts: { regex: "(a)" } });
  expect(formWrong()).toBeUndefined();
  change({ form: "jsonSchema", formTexts: { jsonSchema: "{" } });
  expect([formWrong(), isFormReady()]).toEqual([expect.stringMatching(/^The schema must be JSON/u), false]);
  change({ form: "any", guesses: false });
  expect([formWrong(), isFormReady()]).toEqual([undefined, true]);
});

it("a prompt that is refused leaves no text behind, and its number to the next one", async () => {
  const { forgetAll, isRefused, shown, write, writings } = playground;
  forgetAll();
  const answerTo = async (events: readonly WritingEvent[]): Promise<void> => {
    const asks = asked.length;
    const written = write(["left"]);
    const request = (await vi.waitUntil(() => (asked.length > asks ? asked : undefined), wait))[asks];
    if (request === undefined) throw new Error("nothing was asked");
    for (const event of events) tell(request.answer, event);
    request.answer.close();
    await written;
  };
  const done = { type: "done", finishReason: "length" } as WritingEvent;
  const token = (id: number) => ({ type: "token", id, text: `${id}`, probability: 0.25 }) as WritingEvent;
  await answerTo([token(4), done]);
  await answerTo([{ type: "failed", error: "prompt: must be known" }]);
  expect(writings.value.map(isRefused)).toEqual([false, true]);
  await answerTo([token(5), done]);
  expect(writings.value.map(({ id, tokens }) => [id, tokens.length])).toEqual([
    [1, 1],
    [2, 1],
  ]);
  expect(shown.value).toEqual({ left: 2, right: null });
});

it("asks for the beginning of a text where a model refuses an empty prompt", async () => {
  const { change } = await import("../../web/playground/settings.ts");
  change({ prompt: "" });
  const { needsPrompt, shownOf, write } = playground;
  expect(needsPrompt("left")).toBe(false);
  const { length } = asked;
  const writing = write(["left"]);
  const request = await vi.waitUntil(() => asked[length], wait);
  const error = 'generate: the prompt must have at least one token to continue from; got an empty prompt; try "\\n"';
  tell(request.answer, { type: "failed", error });
  request.answer.close();
  await writing;
  expect(shownOf("left")).toMatchObject({ state: "failed", note: "Write the beginning of a text first." });
  expect(needsPrompt("left")).toBe(true);
});
