import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inferenceContext, withContext } from "#foretoken/autograd/context.js";
import { readTensor } from "#foretoken/autograd/tensor.js";
import type { Backend } from "#foretoken/backend/backend.js";
import { ConfigError, DataError, ShapeError } from "#foretoken/core/errors/errors.js";
import { epsilon } from "#foretoken/core/tensors/dtype.js";
import { attentionOf, attentionProbabilities } from "#foretoken/inside/attention.js";
import { mergeAdapter } from "#foretoken/models/lora/merge.js";
import { causalAttention } from "#foretoken/ops/causal-attention.js";
import { languageModel } from "#foretoken/pretrained/model/language-model.js";
import { noTokenizer } from "#foretoken/tokenizer/none.js";
import { forEachBackend } from "../support/backends.ts";
import { expectClose, forwardError, furthest, largest } from "../support/closeness.ts";
import { hashUniform } from "../support/hash.ts";
import { byHand } from "./by-hand.ts";
import { grouped, ids, kinds, rotary, text, unmasked, vocabSize, weightsOf, withAdapter, withModel } from "./models.ts";

forEachBackend(
  "attention of heads",
  ({ open }) => {
    let backend: Backend;
    beforeAll(async () => {
      backend = await open(2);
    });
    afterAll(() => backend.close());

    describe.each(kinds)("%s", (_, config) => {
      it("has the probabilities of plain loops in double precision, and leaves nothing behind", async () => {
        const lm = withModel(backend, config);
        const expected = byHand(config, ids, await weightsOf(lm.model));
        const held = backend.bytesInUse();
        const { maps, tokens, from, to } = await attentionOf(lm, text);
        expect(backend.bytesInUse()).toBe(held);
        expect([from, to]).toEqual([0, ids.length]);
        expect(tokens.map((token) => token.text).join("")).toBe(text);
        expect(maps).toHaveLength(config.nLayer * config.nHead);
        const tolerance = forwardError({ ...config, vocabSize });
        expectClose(
          "attention",
          maps.map(({ layer, head, probabilities }) => {
            const wanted = expected.attention[layer]?.[head]?.flatMap((row) => [...row]) ?? [];
            return furthest(`layer ${layer}, head ${head}`, probabilities, wanted, tolerance);
          }),
        );
        for (const { probabilities } of maps) {
          for (let i = 0; i < ids.length; i++) {
            const row = probabilities.subarray(i * ids.length, (i + 1) * ids.length);
            expect(row.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
            if (config.mask === "causal") expect(Array.from(row.subarray(i + 1)).every((p) => p === 0)).toBe(true);
          }
        }
        await lm.close();
      });
    });

    it("makes the output of attention's op, multiplied with the values", async () => {
      const heads = { heads: 4, keyHeads: 2, headDim: 6 };
      const [time, width] = [19, 8 * 6];
      const qkv = Float32Array.from({ length: time * width }, (_, i) => 2 * hashUniform("qkv", i));
      for (const ways of [
        { mask: "causal", window: null, scale: 1 / Math.sqrt(6) },
        { mask: "none", window: null, scale: 1 / Math.sqrt(6) },
        { mask: "causal", window: 5, scale: 0.3 },
      ] as const) {
        const out = await withContext(inferenceContext(backend), async (context) => {
          const x = context.memory.upload(qkv, [1, time, width]);
          return readTensor(backend, causalAttention(context, x, heads, ways));
        });
        const expected = new Float64Array(time * 24);
        for (let head = 0; head < 4; head++) {
          const p = attentionProbabilities(qkv, time, heads, ways, { head, from: 0, to: time });
          const v = (4 + 2 + Math.floor(head / 2)) * 6;
          for (let t = 0; t < time; t++) {
            for (let d = 0; d < 6; d++) {
              for (let j = 0; j < time; j++) {
                expected[t * 24 + head * 6 + d] =
                  (expected[t * 24 + head * 6 + d] as number) +
                  (p[t * time + j] as number) * (qkv[j * width + v + d] as number);
              }
            }
          }
        }
        // The error comes from sums of D products, of T weights and of T values.
        const tolerance = largest(expected) * epsilon.float32 * Math.sqrt(6 + 2 * time);
        expectClose(JSON.stringify(ways), [furthest(JSON.stringify(ways), out, expected, tolerance)]);
      }
    });

    it("gives the heads and rows that are asked for, with the bits of all", async () => {
      const lm = withModel(backend, grouped);
      const whole = await attentionOf(lm, ids);
      const some = await attentionOf(lm, ids, { layers: [1, 0], heads: [3, 1], from: 4, to: 7 });
      expect(some.maps.map(({ layer, head }) => [layer, head])).toEqual([
        [1, 3],
        [1, 1],
        [0, 3],
        [0, 1],
      ]);
      for (const { layer, head, probabilities } of some.maps) {
        const same = whole.maps.find((map) => map.layer === layer && map.head === head);
        expect(probabilities).toEqual(same?.probabilities.slice(4 * ids.length, 7 * ids.length));
      }
      await lm.close();
    });

    it("is with adapters that of the weights with the adapters added", async () => {
      const { lm, base, adapted } = withAdapter(backend, rotary);
      const { maps } = await attentionOf(lm, ids);
      lm.useAdapter(null);
      const without = await attentionOf(lm, ids);
      await mergeAdapter(adapted);
      const expected = byHand(base.config, ids, await weightsOf(base));
      const tolerance = 2 * forwardError({ ...base.config, vocabSize });
      for (const [i, { layer, head, probabilities }] of maps.entries()) {
        const wanted = expected.attention[layer]?.[head]?.flatMap((row) => [...row]) ?? [];
        expectClose("adapted", [furthest(`layer ${layer}, head ${head}`, probabilities, wanted, tolerance)]);
        expect(furthest("base", without.maps[i]?.probabilities ?? [], wanted, tolerance).ratio).toBeGreaterThan(1);
      }
      await lm.close();
    });
  },
  ["reference", "wasm", "native"],
);

forEachBackend(
  "attention of heads, where it cannot be",
  ({ open }) => {
    it("says why in one line", async () => {
      const backend = await open(1);
      const lm = withModel(backend, { ...unmasked, contextLength: 2048, mask: "causal" });
      const long = "ab".repeat(1024);
      const refused = async (work: Promise<unknown>, type: new (...args: never[]) => Error, message: RegExp) => {
        const error: unknown = await work.catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(type);
        expect((error as Error).message).toMatch(message);
        expect((error as Error).message).not.toContain("\n");
      };
      await refused(
        attentionOf(lm, long, {}),
        ConfigError,
        /heads times positions times tokens must be at most 4194304/u,
      );
      await refused(attentionOf(lm, long, {}), ConfigError, /try \{ to: 512 \} or less$/u);
      await refused(attentionOf(lm, `${long}a`), ShapeError, /at most 2048 tokens/u);
      await refused(attentionOf(lm, ""), DataError, /at least one token/u);
      await refused(attentionOf(lm, [0, vocabSize]), ShapeError, /13 at position 1/u);
      await refused(attentionOf(lm, "abc", { layers: [2] }), ConfigError, /attentionOf\.layers\.0: must be at most 1/u);
      await refused(
        attentionOf(lm, "abc", { heads: [] }),
        ConfigError,
        /attentionOf\.heads: must have at least one element/u,
      );
      await refused(attentionOf(lm, "abc", { from: 2, to: 2 }), ConfigError, /must be below to, 2; got 2/u);
      // Without a tokenizer, ids are shown instead of texts.
      const bare = languageModel(lm.model, noTokenizer("model", vocabSize));
      expect((await attentionOf(bare, [3, 1])).tokens.map((token) => token.text)).toEqual(["<3>", "<1>"]);
      await lm.close();
      await refused(attentionOf(lm, "abc"), ConfigError, /attentionOf: the model must be open/u);
      await backend.close();
    });
  },
  ["reference"],
);
