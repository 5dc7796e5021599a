import { cp, mkdtemp, rename, rm, symlink } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import type { GenerateEvent } from "#foretoken/generate/events.js";
import { generate } from "#foretoken/generate/generate.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import type { LanguageModel } from "#foretoken/pretrained/model/language-model.js";
import type { ModelListAnswer, ScoreAnswer } from "#foretoken/serve/studio/protocol.js";
import { type Studio, startStudio } from "#foretoken/serve/studio/start.js";
import { train } from "#foretoken/worker/train.node.js";
import { catText, eventsOf, firstEvent, notesOf, pageAt, type ServerEvent, smallRun } from "./studio.ts";

let folder = "";
let studio: Studio | undefined;
const page = pageAt(
  () => folder,
  () => studio?.url ?? "",
);
const backend = { backend: "wasm", threads: 1 } as const;

const makeRun = async (out: string, seed: number): Promise<void> => {
  const { config } = smallRun("", 8, { seed });
  const events = train({ text: catText, out, config: config as object, keepLast: 2, ...backend });
  for await (const event of events) expect(event.v).toBe(1);
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-studio-"));
  await makeRun(page.path("runs", "a"), 1);
  await makeRun(page.path("elsewhere"), 2);
  studio = await startStudio({
    ...{ folder: page.path("runs"), port: 0, models: [page.path("elsewhere"), page.path("nowhere")], patienceMs: 100 },
    ...backend,
  });
});

afterAll(async () => {
  await studio?.close();
  await rm(folder, { recursive: true });
});

const withModel = async <T>(path: string, work: (lm: LanguageModel) => Promise<T>): Promise<T> => {
  const lm = await loadPretrained(path, backend);
  try {
    return await work(lm);
  } finally {
    await lm.close();
  }
};

const allEvents = async (body: object): Promise<readonly ServerEvent["data"][]> => {
  const all: ServerEvent["data"][] = [];
  for await (const { data } of eventsOf(await page.stream("generate", body))) all.push(data);
  return all;
};

test("the list has each run's checkpoints, and the models named at start", async () => {
  const { models } = (await page.get<ModelListAnswer>("models")).body;
  expect(models.map(({ key, weights, step }) => [key, weights, step])).toEqual([
    [`models/${page.path("elsewhere")}`, null, null],
    [`models/${page.path("nowhere")}`, null, null],
    ["runs/a/best", "best", expect.any(Number)],
    ["runs/a/last", "last", 8],
    ["runs/a/4", "4", 4],
  ]);
});

test("a run with a folder that cannot be read hides no other model", async () => {
  const path = page.path("runs", "damaged");
  await cp(page.path("runs", "a"), path, { recursive: true });
  await rm(join(path, "best"), { recursive: true });
  await symlink("best", join(path, "best"));
  try {
    const { status, body } = await page.get<ModelListAnswer>("models");
    expect(status).toBe(200);
    const keys = body.models.map(({ key }) => key);
    expect(keys).toContain("runs/a/best");
    expect(keys).toContain("runs/damaged/last");
    expect(keys).not.toContain("runs/damaged/best");
  } finally {
    await rm(path, { recursive: true });
  }
});

test.each([
  ["runs/a/best", ["runs", "a", "best"]],
  ["runs/a/4", ["runs", "a", "checkpoint-4"]],
  ["elsewhere", ["elsewhere", "best"]],
])("what %s writes, with probabilities, is what the library writes", async (key, place) => {
  const settings = { maxNewTokens: 6, temperature: 0.8, topK: 5, seed: 3 };
  const model = key === "elsewhere" ? `models/${page.path(key)}` : key;
  const [begin, ...rest] = await allEvents({ model, prompt: "The cat", settings, candidates: 3 });
  const expected = await withModel(page.path(...place), async (lm) => {
    const prompt = Array.from(lm.tokenizer.encode("The cat"));
    expect(begin).toEqual({ type: "begin", promptIds: prompt, paused: [], sharedWith: [] });
    const events: GenerateEvent[] = [];
    for await (const event of generate(lm, { ...settings, prompt, candidates: 3 })) events.push(event);
    return events;
  });
  expect(rest).toEqual(expected);
});

test("a branch goes on from the tokens of an earlier text", async () => {
  const model = "runs/a/best";
  const settings = { maxNewTokens: 5, temperature: 0 };
  const [begin, ...first] = await allEvents({ model, prompt: "The ", settings });
  const ids = first.flatMap(({ id }) => (id === undefined ? [] : [id as number]));
  const branch = await allEvents({ model, prompt: "The ", promptIds: ids.slice(0, 2), settings });
  expect(branch[0]).toMatchObject({ promptIds: [...((begin?.promptIds ?? []) as number[]), ...ids.slice(0, 2)] });
  expect(branch.slice(1, 4).map(({ id }) => id)).toEqual(ids.slice(2));
});

const textIn = (events: readonly ServerEvent["data"][]): unknown => events.at(-1)?.text;

test("a text keeps to its constraint, and so does a branch of it; guesses change no text", async () => {
  const request = { model: "runs/a/best", prompt: "The ", settings: { maxNewTokens: 9, temperature: 1.5 } };
  const constraint = { kind: "choice", choices: ["a cat", "the mat"] };
  const whole = await allEvents({ ...request, constraint });
  expect(constraint.choices).toContain(textIn(whole));
  expect(whole.at(-1)).toMatchObject({ finishReason: "endOfText" });
  const { body } = await page.post<ScoreAnswer>("score", { model: request.model, text: "the m" });
  const ids = body.tokens.map(({ id }) => id);
  expect(textIn(await allEvents({ ...request, constraint, promptIds: ids }))).toBe("at");
  const failed = (await allEvents({ ...request, constraint, promptIds: ids.toReversed() })).at(-1);
  expect(failed).toMatchObject({
    type: "failed",
    error: expect.stringMatching(/^generate: constrainedPrompt: must be/u),
  });
  const plain = await allEvents(request);
  expect(textIn(await allEvents({ ...request, speculate: "ngram" }))).toBe(textIn(plain));
});

test.each([
  [{ kind: "regex", pattern: "(" }, /^constraint\.pattern: must have a \) for the \(/u],
  [{ kind: "jsonSchema", schema: { maxLenght: 1 } }, /^constraint\.schema: #\/maxLenght: must be a keyword/u],
  [{ kind: "choice", choices: ["ж"] }, /must allow a text that this vocabulary can write/u],
])("a constraint that is wrong is named as its field: %j", async (constraint, error) => {
  const events = await allEvents({ model: "runs/a/best", prompt: "The ", constraint });
  expect(events.at(-1)).toMatchObject({ type: "failed", field: "constraint", error: expect.stringMatching(error) });
});

test("the score of a text is what evaluate measures", async () => {
  const text = catText.slice(0, 300);
  const { status, body } = await page.post<ScoreAnswer>("score", { model: "runs/a/last", text, candidates: 2 });
  expect(status).toBe(200);
  const measured = await withModel(page.path("runs", "a", "checkpoint"), (lm) => evaluate(lm, { text }));
  for (const unit of ["natsPerToken", "natsPerCharacter", "bitsPerByte"] as const)
    expect(body[unit]).toBeCloseTo(measured[unit], 5);
  expect(body.tokens.map((token) => token.text).join("")).toBe(text);
  expect(body.tokens[0]).toMatchObject({ logProb: null });
  // Nothing predicts the first token, which is a character here.
  expect(body.predicted).toEqual({ tokens: 299, characters: 299, bytes: 299 });
  expect(body.predicted.tokens * body.natsPerToken).toBeCloseTo(-body.total, 3);
  expect(body.tokens[1]?.candidates).toHaveLength(2);
});

test("a text with characters that the model lacks is refused with their names, or measured without them", async () => {
  const asked = { model: "runs/a/last", text: "The ж cat ф sat ж." };
  const refused = await page.post("score", asked);
  expect(refused).toMatchObject({ status: 400, body: { characters: ["ж", "ф"] } });
  const { status, body } = await page.post<ScoreAnswer>("score", { ...asked, unknown: "skip" });
  expect(status).toBe(200);
  expect(body.skipped).toEqual({ count: 3, characters: ["ж", "ф"] });
  expect(body.tokens.map(({ text }) => text).join("")).toBe("The  cat  sat .");
});

test("a new run that cannot begin with a model says so at the field of the model", async () => {
  const text = { kind: "given", name: "other.txt", text: `${catText} ж` };
  const asked = { ...smallRun("other", 8), text, initFrom: "runs/a/last" };
  for (const path of ["plan", "runs"])
    expect(await page.post(path, asked)).toMatchObject({ status: 400, body: { field: "initFrom" } });
  const unlisted = await page.post("plan", { ...asked, initFrom: "runs/nobody/last" });
  expect(unlisted).toMatchObject({ status: 404 });
});

test("the list knows which models are adapters: with them no run begins", async () => {
  const { config } = smallRun("", 2);
  const adapted = { out: page.path("runs", "adapted"), initFrom: page.path("runs", "a"), text: catText };
  const { train: changes } = config as { readonly train: object };
  for await (const _ of train({ ...adapted, config: { train: changes, lora: { rank: 1 } }, ...backend }));
  const { models } = (await page.get<ModelListAnswer>("models")).body;
  const adapters = models.filter(({ isAdapter }) => isAdapter);
  expect(new Set(adapters.map(({ name }) => name))).toEqual(new Set(["adapted"]));
  expect(models.length).toBeGreaterThan(adapters.length);
  for (const { key } of adapters)
    expect(await page.post("plan", { ...smallRun("other", 2), initFrom: key })).toMatchObject({
      status: 400,
      body: { field: "initFrom" },
    });
  await rm(adapted.out, { recursive: true });
});

test("a checkpoint that was replaced is loaded again", async () => {
  const score = async (): Promise<number> =>
    (await page.post<ScoreAnswer>("score", { model: "runs/a/best", text: catText.slice(0, 100) })).body.total;
  const before = await score();
  const best = page.path("runs", "a", "best");
  await rename(best, page.path("kept"));
  await cp(page.path("elsewhere", "best"), best, { recursive: true });
  expect(await score()).not.toBe(before);
  await rm(best, { recursive: true });
  await rename(page.path("kept"), best);
  expect(await score()).toBe(before);
});

test.each([
  [404, { model: "runs/b/best", prompt: "The" }, /got "b"|"b": must name a run/u],
  [404, { model: "runs/a/../a/best", prompt: "The" }, /must be the key/u],
  [404, { model: "runs/a/checkpoint", prompt: "The" }, /must be the key/u],
  [404, { model: "/etc/passwd", prompt: "The" }, /must be the key/u],
  [400, { model: "runs/a/best", prompt: 5 }, /prompt/u],
  [400, { model: "runs/a/best", prompt: "a", settings: { temperature: -1 } }, /temperature/u],
  [400, { model: "runs/a/best", prompt: "a", candidates: 51 }, /candidates/u],
])("%i for %j", async (status, body, says) => {
  const response = await page.stream("generate", body);
  expect(response.status).toBe(status);
  expect(((await response.json()) as { error: string }).error).toMatch(says);
});

test.each([
  [{ model: "runs/a/best", prompt: "" }, /at least one token/u],
  [{ model: "runs/a/best", prompt: "ß" }, /"ß"/u],
  [{ model: "runs/a/best", prompt: "The", promptIds: [17] }, /promptIds: token ids .* \[0, 17\); got 17/u],
])("a text that cannot be written says why: %j", async (body, says) => {
  const [failed, ...rest] = await allEvents(body);
  expect(rest).toEqual([]);
  expect(failed).toMatchObject({ type: "failed", error: expect.stringMatching(says) });
});

test("the studio's own run stands still while a text is written, and goes on after", async () => {
  expect(
    (await page.post("runs", smallRun("held", 1_000_000, { evalInterval: 1000, checkpointInterval: 1000 }))).status,
  ).toBe(200);
  const stepped = (least: number) => async (): Promise<number> => {
    const { data } = await firstEvent(
      await page.stream("runs/held/events?after=0"),
      (event) => event.data.type === "step" && (event.data.step as number) >= least,
    );
    return data.step as number;
  };
  await stepped(1)();
  const writing = eventsOf(
    await page.stream("generate", { model: "runs/a/best", prompt: "The", settings: { maxNewTokens: 100_000 } }),
  );
  expect((await writing.next()).value).toMatchObject({ data: { type: "begin", paused: ["held"] } });
  expect(await page.summary("held")).toMatchObject({ owner: "studio", paused: true });
  const stepNow = async (): Promise<number> => ((await notesOf(page.path("runs", "held"))).at(-1)?.step as number) ?? 0;
  const then = await stepNow();
  // These requests take longer than many steps of the run.
  for (let i = 0; i < 1000; i++) await writing.next();
  const now = await stepNow();
  expect(now - then).toBeLessThanOrEqual(2);
  await writing.return();
  expect(await stepped(now + 20)()).toBeGreaterThan(now);
  expect((await page.summary("held")).paused).toBe(false);
  await page.post("runs/held/stop", {});
  await page.until("held", ({ owner }) => owner === null);
});

test("a text that nobody takes holds the run back for a while only", async () => {
  expect(
    (await page.post("runs", smallRun("freed", 1_000_000, { evalInterval: 1000, checkpointInterval: 1000 }))).status,
  ).toBe(200);
  const { host, port } = new URL(page.address());
  const body = JSON.stringify({ model: "runs/a/best", prompt: "The", settings: { maxNewTokens: 1e9 }, candidates: 17 });
  const socket = connect({ host: "127.0.0.1", port: Number(port) });
  const head = [
    "POST /api/v1/generate HTTP/1.1",
    `Host: ${host}`,
    `Origin: http://${host}`,
    "Content-Type: application/json",
  ];
  socket.write(`${[...head, `Content-Length: ${body.length}`].join("\r\n")}\r\n\r\n${body}`);
  // The stream begins, but then no client reads it.
  await new Promise((resolve) => socket.once("data", resolve));
  socket.pause();
  await page.until("freed", ({ paused }) => paused);
  await page.until("freed", ({ paused }) => !paused);
  const { step } = await page.summary("freed");
  await page.until("freed", (run) => run.step > step);
  socket.destroy();
  await page.post("runs/freed/stop", {});
  await page.until("freed", ({ owner }) => owner === null);
});

test("two texts are written one after the other", async () => {
  const first = eventsOf(
    await page.stream("generate", { model: "runs/a/best", prompt: "The", settings: { maxNewTokens: 100_000 } }),
  );
  await first.next();
  const second = eventsOf(
    await page.stream("generate", { model: "runs/a/best", prompt: "It", settings: { maxNewTokens: 2 } }),
  );
  let begun = false;
  const begins = second.next().then(({ value }) => {
    begun = true;
    return value;
  });
  for (let i = 0; i < 100; i++) await first.next();
  expect(begun).toBe(false);
  await first.return();
  expect(await begins).toMatchObject({ data: { type: "begin" } });
  await second.return();
});
