import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { GivenDocument } from "#foretoken/data/parse-document.js";
import { compareEvaluations } from "#foretoken/evaluate/compare.js";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import { saveMerged } from "#foretoken/pretrained/adapter/merge.node.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { type NewRun, train } from "#foretoken/train/train.node.js";
import { type BackendCase, compiled, forEachBackend } from "../../support/backends.ts";
import { chats, chatTokenizer, writeChatModel, writeChats } from "../../support/chats.ts";
import {
  anyBackend,
  checkpointHashes,
  collect,
  ofType,
  smallRun,
  timelessMetrics,
  useFolder,
} from "../../support/runs.ts";

const { newPath } = useFolder();
let model = "";
let data = "";
beforeAll(async () => {
  model = newPath();
  await writeChatModel(model);
  data = await writeChats(`${newPath()}.jsonl`, 40);
});

const plan = { ...smallRun.train, learningRate: 2e-2 };
const lora = { rank: 3, alpha: 6, dropout: 0.2 };

const begin = (options: Partial<NewRun> = {}) =>
  train({
    ...{ initFrom: model, data, preset: "book", ...anyBackend, finalSampleTokens: 6 },
    config: { lora, train: plan },
    ...options,
  } as NewRun);

const plainRuns = new Map<string, Promise<string>>();
/** An ordinary run. The run is made once per backend, for all tests. */
const plainRun = (backend: BackendCase["name"] = anyBackend.backend): Promise<string> => {
  const known = plainRuns.get(backend);
  if (known !== undefined) return known;
  const out = newPath();
  const run = collect(begin({ out, backend })).then(() => out);
  plainRuns.set(backend, run);
  return run;
};

/** A template that differs from the model's template. The template has another end token for answers. */
const chatTemplate =
  "{% for m in messages %}{{ m.role }} {{ m.content }}<|im_start|>{% endfor %}{% if add_generation_prompt %}assistant {% endif %}";
const [, turnEnd = -1] = chatTokenizer.specialTokens.map(({ id }) => id);

forEachBackend(
  "adapters that learn conversations",
  ({ name }) => {
    it("lower the loss, and go on where they were stopped, to the bit", async () => {
      const documents = { backend: name, chatTemplate } as const;
      const [whole, out] = [newPath(), newPath()];
      const events = await collect(begin({ ...documents, out: whole, threads: 1 }));
      const evals = ofType(events, "eval");
      expect(evals[0]?.reason).toBe("begin");
      expect(evals.at(-1)?.valLoss).toBeLessThan(evals[0]?.valLoss ?? 0);
      await collect(begin({ ...documents, out, threads: 2, stopAt: 7 }));
      await collect(train({ resume: out, backend: name, threads: 1 }));
      expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
      expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
    }, 120_000);

    it("have the same bits where their blocks are computed again", async () => {
      const [kept, again] = [await plainRun(name), newPath()];
      const recomputing = { lora, train: { ...plan, recomputeActivations: true } };
      await collect(begin({ out: again, backend: name, config: recomputing }));
      const file = "checkpoint/adapter_model.safetensors";
      expect((await checkpointHashes(again))[file]).toBe((await checkpointHashes(kept))[file]);
    });
  },
  compiled,
);

describe("adapters that learned conversations", () => {
  it("bring their template and the token that ends their answers, to the merged model too", async () => {
    const out = newPath();
    const config = { lora, train: { ...plan, dtype: "float32" } } as const;
    const events = await collect(begin({ out, chatTemplate, config }));
    const base = await loadPretrained(model, { backend: "reference" });
    const merged = newPath();
    await saveMerged(merged, join(out, "checkpoint"));
    for (const place of [join(out, "checkpoint"), merged]) {
      const lm = await loadPretrained(place, { backend: "reference" });
      expect(lm.chatTemplate).toEqual({ ...base.chatTemplate, template: chatTemplate });
      expect(lm.endTokens).toEqual([...base.endTokens, turnEnd]);
      await lm.close();
    }
    await base.close();
    // The saved model has the same template and end tokens, so the evaluation gives the run's own loss.
    const lm = await loadPretrained(join(out, "checkpoint"), { backend: "wasm" });
    const end = ofType(events, "eval").at(-1);
    const measured = await evaluate(lm, { data, split: "val" });
    expect(measured.tokens).toBe(end?.tokens);
    expect(measured.natsPerToken).toBeCloseTo(end?.valLoss ?? 0, 6);
    await lm.close();
  });

  it("leave the files of their model as they are where they learned its own template", async () => {
    const out = await plainRun();
    const merged = newPath();
    await saveMerged(merged, join(out, "checkpoint"));
    for (const name of ["tokenizer_config.json", "generation_config.json", "tokenizer.json"]) {
      expect(await readFile(join(merged, name)), name).toEqual(await readFile(join(model, name)));
    }
    await expect(readFile(join(merged, "chat_template.jinja"))).rejects.toThrow("ENOENT");
  });

  it("compare with their model on the same documents, one by one", async () => {
    const out = await plainRun();
    const documents = chats(9) as GivenDocument[];
    const lm = await loadPretrained(join(out, "best"), { backend: "wasm" });
    const tuned = await evaluate(lm, { documents, windows: true });
    expect(tuned.windows).toHaveLength(9);
    expect(tuned.windows?.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(tuned.tokens);
    expect(tuned.windows?.every(({ tokens }) => tokens > 0)).toBe(true);
    const together = await evaluate(lm, { documents });
    expect(tuned.natsPerToken).toBeCloseTo(together.natsPerToken, 5);
    await lm.useAdapter(null);
    const before = await evaluate(lm, { documents, windows: true });
    const difference = compareEvaluations(tuned, before);
    expect(difference.windows).toBe(9);
    expect(difference.natsPerToken).toBeCloseTo(tuned.natsPerToken - before.natsPerToken, 10);
    expect(difference.natsPerToken).toBeLessThan(0);
    expect(difference.blocks).toBe(9);
    expect(difference.halfWidth95?.natsPerToken).toBeGreaterThan(0);
    // If a document is cut, its pieces are also windows.
    const pieces = await evaluate(lm, { documents, windows: true, contextLength: 20 });
    expect(pieces.windows?.length).toBeGreaterThan(9);
    expect(pieces.tokens).toBe(tuned.tokens);
    await lm.close();
  });
});
