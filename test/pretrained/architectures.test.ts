import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { generate } from "#foretoken/generate/generate.js";
import { architectureOf } from "#foretoken/models/architectures/architecture-of.js";
import { saveGguf } from "#foretoken/pretrained/gguf/write/save.node.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { forEachBackend } from "../support/backends.ts";
import { expectClose, forwardError, furthest, largest } from "../support/closeness.ts";
import { layersModels } from "../support/hugging-face-layers.ts";
import { useFolder } from "../support/runs.ts";

const { newPath } = useFolder();
const vocabSize = 31;
/** As many characters as the models have tokens. */
const tokenizer = charTokenizer(Array.from({ length: vocabSize }, (_, i) => String.fromCharCode(0x100 + i)));

/** Mean nats of each token after the one before it. */
const lossOf = (logits: Float32Array, ids: readonly number[]): number => {
  let sum = 0;
  for (let t = 1; t < ids.length; t++) {
    const row = logits.subarray((t - 1) * vocabSize, t * vocabSize);
    const most = largest(row);
    const all = row.reduce((total, value) => total + Math.exp(value - most), 0);
    sum += most + Math.log(all) - (row[ids[t] ?? 0] ?? 0);
  }
  return sum / (ids.length - 1);
};

const greedy = async (lm: LanguageModel, prompt: readonly number[], count: number, cache: boolean) => {
  const ids: number[] = [];
  const settings = { prompt, maxNewTokens: count, temperature: 0, endTokens: [], cache };
  for await (const event of generate(languageModel(lm.model, tokenizer), settings)) {
    if (event.type === "token") ids.push(event.id);
  }
  return ids;
};

describe.each(layersModels)(
  "$name, as transformers wrote it",
  ({ name, directory, ids, loss, prompt, ...expected }) => {
    forEachBackend("has what transformers computes", ({ name: backendName, open }) => {
      it("in float32: logits, the loss, and greedy tokens with a cache and without", async () => {
        const backend = await open(2);
        const lm = await loadPretrained(directory, { backend });
        const { data } = await lm.logits(ids);
        const error = forwardError({ ...lm.model.config, vocabSize }) * largest(expected.logits);
        expectClose(`${name}, ${backendName}`, [
          furthest("logits", data, expected.logits, error),
          furthest("loss", [lossOf(data, ids)], [loss], error),
        ]);
        const { greedy: wanted } = expected;
        expect(await greedy(lm, prompt, wanted.length, true)).toEqual(wanted);
        expect(await greedy(lm, prompt, 12, false)).toEqual(wanted.slice(0, 12));
        await lm.close();
        await backend.close();
      });
    });

    it("is the same model when it has been saved here, by the class's own fields alone, and as a GGUF file", async () => {
      const backend = await openReference();
      const lm = await loadPretrained(directory, { backend });
      const saved = newPath();
      await savePretrained(saved, languageModel(lm.model, tokenizer));
      const path = join(saved, "config.json");
      const { foretoken: _, ...json } = JSON.parse(await readFile(path, "utf8"));
      await writeFile(path, JSON.stringify(json));
      await rm(join(saved, "manifest.json"));
      const again = await loadPretrained(saved, { backend });
      expect(again.model.config).toEqual(lm.model.config);
      const { data } = await lm.logits(ids);
      expect((await again.logits(ids)).data).toEqual(data);

      const file = `${newPath()}.gguf`;
      const form = architectureOf(lm.model.config).gguf;
      if (form === null || form.lacks(lm.model.config) !== null) {
        await expect(saveGguf(file, saved)).rejects.toThrow(ConfigError);
      } else {
        await saveGguf(file, saved);
        const fromFile = await loadPretrained(file, { backend });
        expect((await fromFile.logits(ids)).data).toEqual(data);
      }
      await backend.close();
    });
  },
);
