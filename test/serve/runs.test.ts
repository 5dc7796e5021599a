import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import type { Failure, PlanTime, RunListAnswer, RunPlan, RunSeries } from "#foretoken/serve/studio/protocol.js";
import { eventsOf, firstEvent, notesOf, type ServerEvent, smallRun, useStudio } from "./studio.ts";

const page = useStudio();
/** With this number of steps, a run trains until it is stopped. */
const endless = 1_000_000;

const isStep =
  (least: number) =>
  ({ event, data }: ServerEvent): boolean =>
    event === "run" && data.type === "step" && (data.step as number) >= least;

const columnOf = (notes: readonly Record<string, unknown>[], type: string, field: string): readonly unknown[] =>
  notes.flatMap((note) => (note.type === type ? [note[field]] : []));

test("a folder that is missing has no runs, until the first one makes it", async () => {
  expect(await page.get("runs")).toEqual({ status: 200, body: { runs: [], sweeps: [], skipped: [] } });
});

test("a plan says what a run would be, and starts nothing", async () => {
  const asked = { ...smallRun("planned", 20), keepLast: 3 };
  const { status, body } = await page.post<RunPlan>("plan", asked);
  expect(status).toBe(200);
  expect(body).toMatchObject({ vocabSize: 17, config: { train: { steps: 20 }, model: { nEmbd: 8 } } });
  expect(body.trainTokens + body.valTokens).toBe(48 * 40);
  expect(body.memory.total).toBeGreaterThan(body.memory.weights);
  expect(body.command).toMatch(
    /^npx foretoken train --data cat\.txt --model\.contextLength 8 .* --train\.steps 20 .* --keep-last 3 --out /u,
  );
  expect(await page.post("plan", { ...asked, keepLast: 0 })).toMatchObject({
    status: 400,
    body: { field: "keepLast" },
  });
  // The field of an error in the text is "text", even if the message names no field.
  const text = { kind: "given", name: "short.txt", text: "The cat" };
  const short = await page.post("plan", { ...asked, text });
  expect(short).toMatchObject({ status: 400, body: { field: "text" } });
  const lines = { kind: "given", name: "lines.jsonl", text: "no JSON" };
  expect(await page.post("plan", { ...asked, text: lines })).toMatchObject({ status: 400, body: { field: "text" } });
  expect((await page.get<RunListAnswer>("runs")).body.runs).toEqual([]);
});

test("a run of a given text is the one of its plan, and its events arrive", async () => {
  const asked = smallRun("first", 9);
  const plan = (await page.post<RunPlan>("plan", asked)).body;
  expect(await page.post("runs", asked)).toEqual({ status: 200, body: { name: "first", notices: [] } });
  const seen: ServerEvent[] = [];
  for await (const event of eventsOf(await page.stream("runs/first/events?after=0"))) {
    seen.push(event);
    if (event.event === "run" && event.data.type === "done") break;
  }
  const notes = await notesOf(page.path("runs", "first"));
  const told = seen.filter(({ event }) => event === "run");
  expect(told.map(({ data }) => data)).toEqual(notes);
  expect(notes[0]).toMatchObject({ type: "start", config: plan.config, parameters: plan.parameters });
  // The id of an event is the offset after the event's line. A page that requests the events from this offset gets all
  // later events.
  const text = await readFile(page.path("runs", "first", "metrics.jsonl"));
  for (const [index, { id }] of told.entries()) {
    const before = text.subarray(0, Number(id)).toString();
    expect(before.split("\n").length - 1).toBe(index + 1);
    expect(before.endsWith("\n")).toBe(true);
  }
  expect(await page.until("first", ({ owner }) => owner === null)).toMatchObject({
    state: "finished",
    step: 9,
    hasCheckpoint: true,
    corpus: "cat.txt",
    failure: null,
  });
});

test("the series has the numbers of the notes", async () => {
  const { body } = await page.get<RunSeries>("runs/first/series");
  const notes = await notesOf(page.path("runs", "first"));
  for (const field of ["step", "loss", "learningRate", "gradNorm", "tokensPerSecond"] as const)
    expect(body.steps[field]).toEqual(columnOf(notes, "step", field));
  for (const field of ["step", "valLoss", "trainLoss", "natsPerCharacter", "bitsPerByte"] as const)
    expect(body.evals[field]).toEqual(columnOf(notes, "eval", field));
  expect(body.samples.map(({ text }) => text)).toEqual(columnOf(notes, "sample", "text"));
  expect(body.tokensPerStep).toBe(16);
  const { length } = await readFile(page.path("runs", "first", "metrics.jsonl"));
  expect(body.offset).toBe(length);
});

test("the series has fewer steps where fewer are asked for, and says which numbers it takes", async () => {
  const { body } = await page.get<RunSeries>("runs/first/series?most=1000");
  expect(body).toMatchObject({ mostSteps: 1000, thinned: null });
  expect(body.steps.step).toHaveLength(9);
  for (const most of ["999", "200001", "-1", "x", ""])
    expect(await page.get(`runs/first/series?most=${most}`)).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(/^most: must be a number of steps from 1000 to 200000/u) },
    });
});

test("a plan that fails names all faults, each with its field", async () => {
  const { text } = smallRun("faulty", 9);
  const config = { model: { nLayer: -3, contextLength: 900_000_000 }, train: { learningRate: "abc" } };
  const { status, body } = await page.post<Failure>("plan", { text, config });
  expect(status).toBe(400);
  const faults = [body, ...(body.others ?? [])];
  expect(faults.map(({ field }) => field)).toEqual(["model.contextLength", "model.nLayer", "train.learningRate"]);
  for (const { error, field } of faults) expect(error).toMatch(new RegExp(`^config\\.${field}: must be .*; got `, "u"));
});

test("a plan that fails checks what is given against the sizes of its own text", async () => {
  const text = { kind: "given", name: "short.txt", text: "A short text, many times. ".repeat(180) };
  const { config } = (await page.post<RunPlan>("plan", { text })).body;
  const asked = { text, config: { model: { nLayer: -3, nHead: 7 } } };
  const { status, body } = await page.post<Failure>("plan", asked);
  expect(status).toBe(400);
  expect([body, ...(body.others ?? [])].map(({ error }) => error)).toEqual([
    expect.stringMatching(/^config\.model\.nLayer: must be .*; got -3/u),
    `config.model.nEmbd: must be divisible by nHead; got ${config.model.nEmbd} and 7; try 56 or 70`,
  ]);
  expect(config.model.nEmbd).toBe(64);
});

test("a plan that fails names what is wrong in the name, the configuration and the text at once", async () => {
  const faultsOf = async (asked: object) => {
    const { status, body } = await page.post<Failure>("plan", asked);
    expect(status).not.toBe(200);
    return [body, ...(body.others ?? [])].map(({ field }) => field);
  };
  const text = { kind: "given", name: "short.txt", text: "short" };
  const wrong = smallRun("a/b c", 0, { learningRate: -1 });
  expect(await faultsOf({ ...wrong, text, keepLast: 0 })).toEqual([
    ...["name", "keepLast", "train.steps", "train.learningRate", "text"],
  ]);
  expect(await faultsOf({ ...wrong, name: "first" })).toEqual(["name", "train.steps", "train.learningRate"]);
  expect(await faultsOf({ ...smallRun("a/b c", 9), text })).toEqual(["name", "text"]);
  expect(await faultsOf(smallRun("a/b c", 9))).toEqual(["name"]);
  expect(await faultsOf({ name: "a/b c" })).toEqual(["text", "name"]);
  expect(await faultsOf({ ...smallRun("a", 9), other: 1 })).toEqual([undefined]);
});

test("a plan knows the time of a run by an earlier one of its size", async () => {
  const { steps } = (await page.get<RunSeries>("runs/first/series")).body;
  const asked = smallRun("again", 900, { evalInterval: 900, sampleTokens: 0 });
  const plan = (await page.post<RunPlan>("plan", asked)).body;
  const rates = [...steps.tokensPerSecond].sort((a, b) => a - b);
  const inSteps = (900 * 16) / (rates[rates.length >> 1] ?? 0);
  // A forward pass over the held-out text takes a third of the time of steps. Each token of the last sample that exceeds
  // the context takes a pass over the whole context.
  const measured = plan.valTokens + plan.config.model.contextLength * 400;
  expect(plan.seconds).toBeGreaterThan(inSteps);
  expect(plan.seconds).toBeLessThan(inSteps * (1 + measured / (3 * 900 * 16)));
  expect(plan.timing).toBeNull();
  // As many tokens in two micro-batches take longer, so the earlier run says nothing about them.
  const divided = smallRun("divided", 900, { batchSize: 1, gradAccumSteps: 2 });
  expect((await page.post<RunPlan>("plan", divided)).body).toMatchObject({ seconds: null, timing: expect.any(String) });
});

test("a plan without an earlier run is followed by its time, which is kept for all lengths of the run", async () => {
  const asked = (steps: number) => smallRun("timed", steps, { batchSize: 3, evalInterval: steps, sampleTokens: 0 });
  const { seconds, timing } = (await page.post<RunPlan>("plan", asked(900))).body;
  expect(seconds).toBeNull();
  const timed = (await page.get<PlanTime>(`plans/${timing}/time`)).body.seconds ?? 0;
  expect(timed).toBeGreaterThan(0);
  expect((await page.post<RunPlan>("plan", asked(900))).body).toMatchObject({ seconds: timed, timing: null });
  const longer = (await page.post<RunPlan>("plan", asked(1800))).body.seconds ?? 0;
  expect(longer).toBeGreaterThan(timed);
  expect(longer).toBeLessThan(2 * timed);
  expect(await page.get("plans/none/time")).toMatchObject({ status: 404 });
});

test("models are not timed while a run trains, nor if that takes long", async () => {
  const large = { ...smallRun("large", 9), config: { model: { nEmbd: 1024, nLayer: 24, nHead: 8 } } };
  expect((await page.post<RunPlan>("plan", large)).body).toMatchObject({ seconds: null, timing: null });
  const asked = smallRun("other", 900, { batchSize: 4 });
  const { timing } = (await page.post<RunPlan>("plan", asked)).body;
  expect(timing).not.toBeNull();
  await page.post("runs", smallRun("busy", endless));
  expect((await page.get<PlanTime>(`plans/${timing}/time`)).body).toEqual({ seconds: null });
  expect((await page.post<RunPlan>("plan", asked)).body).toMatchObject({ seconds: null, timing: null });
  await page.post("runs/busy/stop", {});
  await page.until("busy", ({ owner }) => owner === null);
});

test("a run goes on from its end to more steps", async () => {
  const refused = await page.post("runs/first/resume", {});
  expect(refused).toMatchObject({
    status: 400,
    body: { error: expect.stringMatching(/must have steps left; got all 9 done/u) },
  });
  expect((await page.post("runs/first/resume", { steps: 12, extend: "restart" })).status).toBe(200);
  const run = await page.until("first", ({ owner, step }) => owner === null && step === 12);
  expect(run).toMatchObject({
    state: "finished",
    steps: 12,
    config: { train: { extensions: [{ after: 9, planned: 9, schedule: "restart" }] } },
  });
});

test("a run is stopped, saved and resumed; meanwhile no other one begins", async () => {
  expect((await page.post("runs", smallRun("stopped", endless))).status).toBe(200);
  await firstEvent(await page.stream("runs/stopped/events?after=0"), isStep(10));
  expect(await page.summary("stopped")).toMatchObject({ owner: "studio", state: "unfinished" });
  const other = await page.post("runs", smallRun("other", 5));
  expect(other).toMatchObject({ status: 409, body: { error: expect.stringContaining('got "stopped" in progress') } });
  expect((await page.post("runs/first/resume", { steps: 99 })).status).toBe(409);
  expect(await page.post("runs/stopped/stop", {})).toEqual({ status: 200, body: { name: "stopped" } });
  const { step } = await page.until("stopped", ({ owner }) => owner === null);
  expect(await page.summary("stopped")).toMatchObject({ state: "interrupted", hasCheckpoint: true });
  // No page is connected, but the run continues.
  expect((await page.post("runs/stopped/resume", {})).status).toBe(200);
  await firstEvent(await page.stream("runs/stopped/events?after=0"), isStep(step + 5));
  await page.post("runs/stopped/stop", {});
  await page.until("stopped", ({ owner }) => owner === null);
});

test("who follows a run that is resumed is told to read it anew", async () => {
  const { offset } = (await page.get<RunSeries>("runs/stopped/series")).body;
  const following = firstEvent(
    await page.stream(`runs/stopped/events?after=${offset}`),
    ({ event }) => event === "reset",
  );
  await page.post("runs/stopped/resume", {});
  expect(await following).toMatchObject({ event: "reset" });
  await page.post("runs/stopped/stop", {});
  await page.until("stopped", ({ owner }) => owner === null);
  // An invalid offset. The offset is beyond the end, or inside a line.
  for (const after of [10_000_000, 5]) {
    const response = await page.stream(`runs/stopped/events?after=${after}`);
    expect(await firstEvent(response, ({ event }) => event !== "summary")).toMatchObject({ event: "reset" });
  }
});

test("a run that cannot begin says why, and which field is wrong", async () => {
  const wrong = smallRun("wrong", 9, { learningRate: -1 });
  const { status, body } = await page.post("runs", wrong);
  expect(status).toBe(400);
  expect(body).toMatchObject({ field: "train.learningRate", error: expect.stringContaining("learningRate") });
  expect(await page.post("plan", wrong)).toEqual({ status, body });
  expect(await page.post("runs", smallRun("first", 9))).toMatchObject({
    status: 409,
    body: { field: "name", error: expect.stringContaining("name: must be new") },
  });
  const { runs, skipped } = (await page.get<RunListAnswer>("runs")).body;
  expect(runs.map(({ name }) => name).sort()).toEqual(["busy", "first", "stopped"]);
  expect(skipped).toEqual([]);
});

test("a run that fails on its way keeps its reason", async () => {
  const explodes = smallRun("fails", endless, {
    learningRate: 1e4,
    maxLossRatio: 1.0001,
    maxGradNorm: 0,
    warmupSteps: 0,
  });
  expect((await page.post("runs", explodes)).status).toBe(200);
  const run = await page.until("fails", ({ owner }) => owner === null);
  expect(run.state).toBe("failed");
  expect(run.failure).toMatch(/^.+: .+ must .+; got /u);
});
