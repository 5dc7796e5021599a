import { describe, expect, it } from "vitest";
import { describeBackends, openBackend } from "#foretoken/backend/select.node.js";
import { epsilon, fromBfloat16, toBfloat16 } from "#foretoken/core/tensors/dtype.js";
import { attentionOf } from "#foretoken/inside/attention.js";
import { withoutHeads } from "#foretoken/inside/heads.js";
import { lensOf } from "#foretoken/inside/lens.js";
import { neighboursOf } from "#foretoken/inside/neighbours.js";
import { patched } from "#foretoken/inside/patch.js";
import { createFrozenModel, createModel } from "#foretoken/models/model.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { expectClose, furthest, largest } from "../support/closeness.ts";
import { hashedWeights } from "../support/models.ts";
import { growingText } from "../support/texts.ts";
import { byHand } from "./by-hand.ts";
import { grouped, ids, learned, rotary, tokenizer, vocabSize } from "./models.ts";

const { backends } = await describeBackends();
const native = backends.find(({ name }) => name === "native");
const narrow = native?.available === true && ["amx", "avx512bf16"].includes(native.instructionSet);
const title = narrow ? "" : " (this machine has no backend that multiplies from bfloat16)";

const off = [
  { layer: 0, head: 1 },
  { layer: 1, head: 0 },
];

/** Everything that the functions of src/inside report about a model. */
const facts = async (lm: LanguageModel) => ({
  attention: await attentionOf(lm, ids),
  lens: await lensOf(lm, ids),
  neighbours: await neighboursOf(lm, 4),
  without: (await withoutHeads(lm, off).logits(ids)).data,
  patched: await patched(lm, { clean: "abcde", corrupted: "edcba", layer: 1, position: 2, part: "mlp" }),
});

describe.skipIf(!narrow)(`products of bfloat16${title}`, () => {
  it.each([
    ["learned positions", learned],
    ["rotary positions", rotary],
    ["grouped queries", grouped],
  ])(
    "%s: a frozen model shows what one with the same rounded weights shows, and both what plain loops give",
    async (_, config) => {
      const backend = await openBackend("native", { threads: 2, dtype: "bfloat16" });
      const exact = createModel(backend, config, vocabSize);
      const frozen = createFrozenModel(backend, config, vocabSize);
      const values = hashedWeights(exact.layout);
      const { decayed, parameters } = exact.layout;
      values.set(fromBfloat16(toBfloat16(values.subarray(0, decayed))));
      exact.writeWeights(values, 0);
      frozen.writeWeights(values, 0);
      const [one, other] = [exact, frozen].map((model) => languageModel(model, tokenizer)) as [
        LanguageModel,
        LanguageModel,
      ];
      const found = await facts(one);
      expect(await facts(other)).toEqual(found);

      const places = new Map(parameters.map((one) => [one.name, one]));
      const weights = (name: string): Float64Array | null => {
        const place = places.get(name);
        return place === undefined ? null : Float64Array.from(values.subarray(place.offset, place.offset + place.size));
      };
      const hand = byHand(config, ids, weights);
      // Queries, keys, the norms before them and the branches of a layer are rounded to bfloat16. The error of each
      // rounding is half an epsilon.
      for (const { layer, head, probabilities } of found.attention.maps) {
        const wanted = hand.attention[layer]?.[head]?.flatMap((row) => [...row]) ?? [];
        expectClose("attention", [furthest(`layer ${layer}, head ${head}`, probabilities, wanted, epsilon.bfloat16)]);
      }
      const without = byHand(config, ids, weights, ["0 1", "1 0"]);
      const logits = without.logits(without.stream.at(-1) ?? []).flatMap((row) => [...row]);
      expectClose("without", [furthest("logits", found.without, logits, 2 * epsilon.bfloat16 * largest(logits))]);

      // Decoding reads rounded copies of the weights. Switching heads off does not change these copies.
      for (const lm of [one, other]) {
        const text = growingText(withoutHeads(lm, off).model, ids.length);
        const sequence = [...ids];
        for (const length of [3, 4, 5, sequence.length]) {
          const row = (length - 1) * vocabSize;
          expect(await text.next(sequence.slice(0, length))).toEqual(found.without.slice(row, row + vocabSize));
        }
        text.close();
      }
      for (const lm of [one, other]) await lm.close();
      expect(backend.bytesInUse()).toBe(0);
      await backend.close();
    },
  );
});
