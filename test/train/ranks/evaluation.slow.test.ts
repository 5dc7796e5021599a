/** Evaluations that several ranks share, with the real mpirun. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { jsonLines, workplace } from "../../cli/cli.ts";
import { writeChatModel, writeChats } from "../../support/chats.ts";
import { missingMpi, mpiTitle, startMpirun, trainOn } from "../../support/mpi.ts";
import { expectSameOn, fresh, leftBy, plan, trainedOn, withConfig } from "../../support/ranks.ts";
import { wordsText } from "../../support/runs.ts";

let place: Awaited<ReturnType<typeof workplace>>;

describe.skipIf(missingMpi !== undefined)(mpiTitle("an evaluation on several ranks"), () => {
  beforeAll(async () => {
    place = await workplace();
    const at = (name: string): string => join(place.cwd, name);
    await writeChatModel(at("chat-model"));
    await writeChats(at("chats.jsonl"), 20);
    await writeChats(at("many.jsonl"), 1500);
    await writeFile(at("words.txt"), wordsText("source", 300));
    // 40 and 20 passes of 4,096 tokens.
    await writeFile(at("long.txt"), wordsText("long", 43_000));
    await writeFile(at("half.txt"), wordsText("half", 21_500));
  });
  afterAll(() => place?.remove());

  it.each([
    ["text", fresh, ["--data", "words.txt", "--val-data", "long.txt"], 2],
    [
      "documents",
      { preset: "book", train: plan },
      ["--data", "chats.jsonl", "--val-data", "many.jsonl", "--init-from", "chat-model"],
      4,
    ],
  ])("of many passes has the bits of one process: %s", async (name, config, args, ranks) => {
    const notes = await expectSameOn(ranks, await withConfig(place.cwd, name, config, args), name, place.cwd);
    const reasons = notes.flatMap(({ type, reason }) => (type === "eval" ? [reason] : []));
    expect(reasons).toEqual([...(name === "documents" ? ["begin"] : []), "interval", "end"]);
  });

  it("is broken off on both where one rank alone is asked to stop, and made up for", async () => {
    // The evaluation is long, so that the signal arrives during the evaluation.
    const long = {
      ...fresh,
      model: { ...fresh.model, contextLength: 512, nEmbd: 96 },
      train: { ...plan, batchSize: 1, steps: 2, evalInterval: 1, checkpointInterval: 10, dtype: "float32" },
    };
    const flags = await withConfig(place.cwd, "stopped", long, ["--data", "words.txt", "--val-data", "half.txt"]);
    await trainedOn(1, [...flags, "--out", "whole"], place.cwd);
    for (const rank of [0, 1]) {
      const out = `stopped-${rank}`;
      let asked = false;
      const args = trainOn(2, [...flags, "--out", out, "--backend", "native", "--json"]);
      const started = startMpirun(args, place.cwd, (stdout) => {
        if (asked || !stdout.includes('"type":"step"')) return;
        asked = true;
        process.kill(started.pids()[rank] as number, "SIGTERM");
      });
      await started.outcome;
      const notes = jsonLines(await readFile(join(place.cwd, out, "metrics.jsonl"), "utf8"));
      expect(notes.map(({ type, reason }) => reason ?? type)).toEqual([
        ...["start", "step", "checkpoint", "interrupted"],
      ]);
      await trainedOn(1, ["--resume", out], place.cwd);
      expect(await leftBy(place.cwd, out), `rank ${rank}`).toEqual(await leftBy(place.cwd, "whole"));
    }
  });
});
