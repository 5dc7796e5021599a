import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { conversationPrompt } from "#foretoken/chat/conversation.node.js";
import type { GenerateEvent } from "#foretoken/generate/events.js";
import { generate } from "#foretoken/generate/generate.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { goingOn } from "#foretoken/serve/studio/chat.js";
import type { ModelListAnswer } from "#foretoken/serve/studio/protocol.js";
import { type Studio, startStudio } from "#foretoken/serve/studio/start.js";
import { train } from "#foretoken/worker/train.node.js";
import { byteTokenizer } from "../support/byte-tokenizer.ts";
import { chatContext, writeChatModel } from "../support/chats.ts";
import { catText, eventsOf, pageAt, type ServerEvent, smallRun } from "./studio.ts";

let folder = "";
let studio: Studio | undefined;
const page = pageAt(
  () => folder,
  () => studio?.url ?? "",
);
const backend = { backend: "wasm", threads: 1 } as const;
const model = (name = "talker"): string => `models/${page.path(name)}`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-chat-"));
  for (const name of ["talker", "faulty"]) await writeChatModel(page.path(name));
  await rm(page.path("faulty", "manifest.json"));
  await writeFile(page.path("faulty", "chat_template.jinja"), "{{ raise_exception('no cats') }}");
  const { config } = smallRun("", 4);
  for await (const event of train({ text: catText, out: page.path("runs", "a"), config: config as object, ...backend }))
    expect(event.v).toBe(1);
  const models = ["talker", "faulty", "nowhere"].map((name) => page.path(name));
  studio = await startStudio({ folder: page.path("runs"), port: 0, models: [...models, "hf:some/model"], ...backend });
});

afterAll(async () => {
  await studio?.close();
  await rm(folder, { recursive: true });
});

const allEvents = async (body: object): Promise<readonly ServerEvent["data"][]> => {
  const all: ServerEvent["data"][] = [];
  for await (const { data } of eventsOf(await page.stream("chat", body))) all.push(data);
  return all;
};

const user = (content: string) => ({ role: "user", content }) as const;
const assistant = (content: string) => ({ role: "assistant", content }) as const;
const system = (content: string) => ({ role: "system", content }) as const;

/** The library's answer, and the tokens of the conversation that the model reads. */
const expected = async (
  messages: readonly (ReturnType<typeof user> | ReturnType<typeof assistant>)[],
  given: object,
) => {
  const lm = await loadPretrained(page.path("talker"), backend);
  try {
    const partner = { ...lm, config: lm.model.config, generate: (options: object) => generate(lm, options) };
    const { ids, dropped } = await conversationPrompt(partner, messages, 8, "model");
    const events: GenerateEvent[] = [];
    for await (const event of generate(lm, { ...given, prompt: ids })) events.push(event);
    return { ids, dropped, events, parameters: lm.model.layout.count };
  } finally {
    await lm.close();
  }
};

test("the list knows from small files which models have a chat template", async () => {
  const { models } = (await page.get<ModelListAnswer>("models")).body;
  expect(models.map(({ name, hasChatTemplate }) => [name, hasChatTemplate])).toEqual([
    ...[
      ["talker", true],
      ["faulty", true],
      ["nowhere", null],
      ["some/model", null],
    ],
    ...[
      ["a", false],
      ["a", false],
    ],
  ]);
});

test("the page learns which system message a model's template adds", async () => {
  const added = async (key: string) => (await page.get(`models/system?${new URLSearchParams({ model: key })}`)).body;
  expect(await added(model())).toEqual({ added: "" });
  expect(await added(model("faulty"))).toEqual({ added: null });
  expect(await added("runs/a/best")).toEqual({ added: null });
});

test("a plan for conversations asks for a model with a chat template, at the field of the model", async () => {
  const line = `${JSON.stringify({ messages: [user("Hi"), assistant("yes")] })}\n`;
  const text = { kind: "given", name: "chats.jsonl", text: line.repeat(20) };
  for (const [more, got] of [
    [{}, "random weights"],
    [{ initFrom: "runs/a/best" }, "a model without a chat template"],
  ] as const) {
    const { status, body } = await page.post("plan", { text, ...more });
    const error = `initFrom: conversations need a model with a chat template; got ${got}; try choosing one`;
    expect([status, body]).toEqual([400, { error, field: "initFrom" }]);
  }
});

test("an answer is the library's, with probabilities, and begins with what the model reads", async () => {
  const messages = [user("who?"), assistant("me."), user("Is it so")];
  const settings = { maxNewTokens: 8, temperature: 0.8, seed: 3 };
  const { ids, events, parameters } = await expected(messages, { ...settings, candidates: 4 });
  const [begin, ...rest] = await allEvents({ model: model(), messages, settings, candidates: 4 });
  const read = { promptTokens: ids.length, leftOut: 0 };
  expect(begin).toEqual({ type: "begin", parameters, ...read, paused: [], sharedWith: [] });
  expect(rest).toEqual(events);
  expect(events[0]).toHaveProperty("candidates");
});

test("an answer that was cut goes on from its tokens", async () => {
  const asked = { model: model(), messages: [user("Hi")] };
  const whole = await allEvents({ ...asked, settings: { maxNewTokens: 6, temperature: 0 } });
  const ids = whole.flatMap(({ id }) => (id === undefined ? [] : [id as number]));
  expect(ids).toHaveLength(6);
  const more = await allEvents({ ...asked, answerIds: ids.slice(0, 2), settings: { maxNewTokens: 4, temperature: 0 } });
  expect(more[0]?.promptTokens).toBe((whole[0]?.promptTokens as number) + 2);
  expect(more.flatMap(({ id }) => (id === undefined ? [] : [id]))).toEqual(ids.slice(2));
});

test("an answer that was cut within a character goes on with the rest of it", async () => {
  const tokenizer = byteTokenizer();
  const [first = 0, ...rest] = tokenizer.encode("😀 a");
  async function* events(): AsyncGenerator<GenerateEvent> {
    for (const [index, id] of rest.entries())
      yield { v: 1, type: "token", index, id, text: new TextDecoder().decode(Uint8Array.of(id)) };
    const counts = { promptTokens: 1, newTokens: rest.length };
    yield { v: 1, type: "done", task: "generate", finishReason: "length", text: "\ufffd\ufffd\ufffd a", ...counts };
  }
  const texts: string[] = [];
  for await (const { text } of goingOn(tokenizer, [97, first], events())) texts.push(text);
  expect(texts).toEqual(["", "", "😀", " ", "a", "😀 a"]);
});

test("of a conversation that is too long the oldest messages are left out, not the system's", async () => {
  const turns = Array.from({ length: 6 }, () => [user("why"), assistant("so be it")]).flat();
  const messages = [system("Sing"), ...turns, user("who?")];
  const settings = { maxNewTokens: 8 };
  const [begin] = await allEvents({ model: model(), messages, settings });
  const leftOut = begin?.leftOut as number;
  expect(leftOut).toBeGreaterThan(0);
  expect(leftOut % 2).toBe(0);
  expect(begin?.promptTokens).toBeLessThanOrEqual(chatContext - 8);
  const [shorter] = await allEvents({
    model: model(),
    messages: [system("Sing"), ...messages.slice(1 + leftOut)],
    settings,
  });
  expect(shorter).toEqual({ ...begin, leftOut: 0 });
});

test.each([
  [
    { messages: [user("a".repeat(chatContext))] },
    /^message: must leave room for an answer: .*; try a shorter message$/u,
  ],
  [
    { messages: [user("Hi")], answerIds: Array(90).fill(5) },
    /^answer: must leave room for more tokens: .*; try another/u,
  ],
  [{ messages: [user("Hi")], answerIds: [10_000] }, /^answerIds: token ids must be whole numbers in \[0, /u],
  [{ messages: [user("ж")] }, /ж/u],
  [{ model: "faulty", messages: [user("Hi")] }, /^model: the chat template must render the conversation; got no cats/u],
  [{ model: "runs/a/best", messages: [user("Hi")] }, /^model: must have a chat template.*; try the playground/u],
])("a conversation that cannot go on ends with the reason: %j", async (body, reason) => {
  const { model: name = "talker" } = body as { readonly model?: string };
  const key = name.startsWith("runs/") ? name : model(name);
  const events = await allEvents({ ...body, model: key, settings: { maxNewTokens: 20 } });
  expect(events).toEqual([expect.objectContaining({ type: "failed", error: expect.stringMatching(reason) })]);
  // The process that formats conversations still works after an error.
  expect(
    (await allEvents({ model: model(), messages: [user("Hi")], settings: { maxNewTokens: 1 } })).at(-1),
  ).toMatchObject({
    type: "done",
  });
});

test.each([
  [404, { model: "models/other", messages: [user("Hi")] }, /must be the key/u],
  [400, { messages: [] }, /messages/u],
  [400, { messages: [{ role: "robot", content: "" }] }, /messages\.0\.role/u],
  [400, { messages: [user("\ud800")] }, /well-formed/u],
  [400, { messages: [{ ...user("Hi"), name: "me" }] }, /name/u],
  [400, { messages: [user("Hi")], settings: { unknown: "skip" } }, /unknown/u],
  [400, { messages: [user("Hi")], candidates: 51 }, /candidates/u],
  [413, { messages: [user("a".repeat(2 ** 23))] }, /at most/u],
])("status %i for a request that is wrong: %j", async (status, body, error) => {
  const answer = await page.post<{ error: string }>("chat", { model: model(), ...body });
  expect(answer.status).toBe(status);
  expect(answer.body.error).toMatch(error);
  expect(answer.body.error).not.toContain("\n");
});
