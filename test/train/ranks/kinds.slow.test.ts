/** Runs of every kind on several ranks, with the real mpirun. The results have the same bits as on one process. */
import { appendFile, cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { workplace } from "../../cli/cli.ts";
import { writeChatModel, writeChats } from "../../support/chats.ts";
import { missingMpi, mpiTitle } from "../../support/mpi.ts";
import { expectSameOn, exploding, fresh, leftBy, plan, trainedOn, withConfig } from "../../support/ranks.ts";
import { wordsText } from "../../support/runs.ts";

const lora = { rank: 3, alpha: 6, dropout: 0.2 };

const chats = ["--data", "chats.jsonl", "--init-from", "chat-model"];
const text = ["--data", "text.txt"];
const base = ["--data", "other.txt", "--init-from", "base"];

let place: Awaited<ReturnType<typeof workplace>>;

const configured = (name: string, config: object, args: readonly string[]): Promise<readonly string[]> =>
  withConfig(place.cwd, name, config, args);

describe.skipIf(missingMpi !== undefined)(mpiTitle("ranks have the bits of one process"), () => {
  beforeAll(async () => {
    place = await workplace();
    const at = (name: string): string => join(place.cwd, name);
    await writeChatModel(at("chat-model"));
    await writeChats(at("chats.jsonl"), 40);
    const plain = Array.from({ length: 12 }, (_, i) => ({ text: wordsText(`plain ${i}`, 3 + 9 * i).toLowerCase() }));
    await writeFile(at("plain.jsonl"), plain.map((one) => `${JSON.stringify(one)}\n`).join(""));
    await appendFile(at("chats.jsonl"), await readFile(at("plain.jsonl")));
    await writeFile(at("source.txt"), wordsText("source", 300));
    await writeFile(at("other.txt"), wordsText("other", 200));
    await writeFile(at("short.txt"), "The");
    await trainedOn(1, [...(await configured("base", fresh, ["--data", "source.txt"])), "--out", "base"], place.cwd);
  });
  afterAll(() => place?.remove());

  it.each([
    ["chats and plain texts", { preset: "book", model: { dropout: 0.1 }, train: plan }, chats, 4],
    ["adapters for chats, a row each", { preset: "book", lora, train: { ...plan, rows: "one" } }, chats, 2],
    ["plain texts of any length, fresh weights", fresh, ["--data", "plain.jsonl"], 2],
    ["adapters for a text", { preset: "book", lora, train: plan }, base, 4],
    ["the weights of a run", { preset: "book", train: plan }, base, 2],
    ["shuffled windows", fresh, [...text, "--windows", "shuffled"], 4],
    ["recomputed activations", fresh, [...text, "--recompute-activations", "true"], 2],
    ["an average over the steps", { ...fresh, train: { ...plan, average: { kind: "ema" } } }, text, 4],
    ["an average over evaluations", { ...fresh, train: { ...plan, average: { kind: "last-k" } } }, text, 2],
    ["less to validate on than ranks", fresh, [...text, "--val-data", "short.txt"], 4],
  ])("%s", async (title, config, args, ranks) => {
    const name = title.replaceAll(/\W+/gu, "-");
    const notes = await expectSameOn(ranks, await configured(name, config, args), name, place.cwd);
    expect(notes.at(-1)).toMatchObject({ type: "done", reason: "finished", step: 6 });
  });

  it("a run without patience ends on all of them", async () => {
    const train = { ...plan, learningRate: 1, warmupSteps: 0, steps: 40, evalInterval: 1, patience: 2 };
    const flags = await configured("patience", { ...fresh, train }, text);
    const notes = await expectSameOn(2, flags, "patience", place.cwd);
    expect(notes.at(-1)).toMatchObject({ type: "done", reason: "patience" });
  });

  it("goes back to the last checkpoint where a step explodes", async () => {
    const notes = await expectSameOn(2, await configured("rollback", exploding, text), "rollback", place.cwd);
    const leftOut = notes.flatMap(({ type, step }) => (type === "nonfinite" ? [step] : []));
    expect(leftOut).toContain(2);
    expect(Math.max(...(leftOut as number[]))).toBeGreaterThan(exploding.train.checkpointInterval);
  });

  it("a run that has ended takes more steps, on as many ranks or on others", async () => {
    const flags = await configured("extended", fresh, text);
    await trainedOn(4, [...flags, "--out", "extended-4"], place.cwd);
    await cp(join(place.cwd, "extended-4"), join(place.cwd, "extended-1"), { recursive: true });
    for (const ranks of [4, 1]) {
      await trainedOn(ranks, ["--resume", `extended-${ranks}`, "--steps", "10"], place.cwd);
    }
    const one = await leftBy(place.cwd, "extended-1");
    expect(await leftBy(place.cwd, "extended-4")).toEqual(one);
    expect(one.metrics.at(-1)).toMatchObject({ type: "done", step: 10 });
  });
});
