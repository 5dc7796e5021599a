/**
 * `onAdapter` gets the adapter of a run that trains an adapter. The callback works in Node and in a page, in the run's
 * own thread and on the calling thread.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type AdapterFiles, loadPretrained, type TrainEvent, type TrainOptions, train } from "#foretoken/index.js";
import { loadPretrained as loadInPage } from "#foretoken/pretrained/load.browser.js";
import { train as trainInPage } from "#foretoken/train/train.browser.js";
import { collect, smallGroupedRun, smallRun, useFolder, wordsText } from "../support/runs.ts";

const { newPath } = useFolder();
const text = wordsText("adapter", 200);
const backend = "reference";
const small = {
  ...({ preset: "shakespeare", backend, finalSampleTokens: 0 } as const),
  config: { lora: { rank: 2 }, train: { ...smallRun.train, steps: 4, learningRate: 0.05 } },
} as const;

/** The base model of the adapters. */
let base = "";
let files: Readonly<Record<string, Uint8Array>> = {};
beforeAll(async () => {
  const out = newPath();
  const { train: _, ...shape } = smallGroupedRun;
  const config = { ...shape, train: { ...smallRun.train, steps: 2 } };
  await collect(train({ preset: "shakespeare", config, text, out, backend, finalSampleTokens: 0, worker: false }));
  base = join(out, "checkpoint");
  const names = ["config.json", "model.safetensors", "tokenizer.json"];
  files = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(base, name))])));
});

interface HandedOut {
  readonly events: readonly TrainEvent[];
  readonly last: AdapterFiles;
  readonly which: readonly string[];
}

const handedOut = async (
  run: (onAdapter: NonNullable<TrainOptions["onAdapter"]>) => AsyncIterable<TrainEvent>,
): Promise<HandedOut> => {
  let last: AdapterFiles | undefined;
  const which: string[] = [];
  const events = await collect(
    run((given, what) => {
      which.push(what);
      if (what === "last") last = given;
    }),
  );
  if (last === undefined) throw new Error("no adapter was handed out");
  return { events, last, which };
};

describe.each([true, false])("onAdapter, in a thread: %s", (worker) => {
  it("gets the files that a folder would have, and its last event names it", async () => {
    const out = newPath();
    const { events, last, which } = await handedOut((onAdapter) =>
      train({ ...small, text, initFrom: base, out, onAdapter, worker }),
    );
    expect(events.at(-1)).toMatchObject({ type: "done", out });
    expect(which).toContain("best");
    for (const name of ["adapter_config.json", "adapter_model.safetensors"] as const) {
      expect(Buffer.from(last[name]).equals(await readFile(join(out, "checkpoint", name))), name).toBe(true);
    }
    const alone = await handedOut((onAdapter) => train({ ...small, text, initFrom: base, onAdapter, worker }));
    expect(alone.events.at(-1)).toMatchObject({ type: "done", out: "onAdapter" });
    expect(alone.last).toEqual(last);
    const page = await handedOut((onAdapter) => trainInPage({ ...small, text, initFrom: files as never, onAdapter }));
    expect(page.last["adapter_model.safetensors"]).toEqual(last["adapter_model.safetensors"]);

    const [inNode, inPage] = [
      await loadPretrained(base, { adapter: join(out, "checkpoint"), backend }),
      await loadInPage(files as never, { adapter: page.last, backend }),
    ];
    const before = await inNode.score(text.slice(0, 40));
    expect((await inPage.score(text.slice(0, 40))).total).toBe(before.total);
    inNode.useAdapter(null);
    expect((await inNode.score(text.slice(0, 40))).total).not.toBe(before.total);
    await inNode.close();
    await inPage.close();
  });

  it("goes with adapters alone, when a run is resumed too", async () => {
    const out = newPath();
    await collect(train({ ...small, text, initFrom: base, out, stopAt: 2, worker }));
    const wrong = collect(train({ resume: out, backend, onCheckpoint: () => {}, worker }));
    await expect(wrong).rejects.toThrow(/^train: onCheckpoint: must not be given with config\.lora.*try onAdapter/u);
    const { last } = await handedOut((onAdapter) => train({ resume: out, backend, onAdapter, worker }));
    const whole = await handedOut((onAdapter) => train({ ...small, text, initFrom: base, onAdapter, worker }));
    expect(last["adapter_model.safetensors"]).toEqual(whole.last["adapter_model.safetensors"]);
    const { lora: _, ...config } = small.config;
    await expect(
      collect(train({ ...small, config, text, initFrom: base, onAdapter: () => {}, worker })),
    ).rejects.toThrow(/^train: onAdapter: must be used with config\.lora/u);
  });
});
