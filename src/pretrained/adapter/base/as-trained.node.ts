/**
 * Checks that a model has the configuration and tokenizer that its adapter was trained with. Somebody may have
 * corrected the configuration or tokenizer of a downloaded model without changing its weights. The base model that the
 * run keeps has the original files.
 */
import { isGgufName } from "../../gguf/source.node.ts";
import { openPretrained } from "../../open.node.ts";
import type { Pretrained } from "../../pretrained.ts";
import { readingOf } from "../../reading.ts";
import { unlessDamaged } from "./find.node.ts";
import { keptBaseOf } from "./places.node.ts";

type Reading = Pick<Pretrained, "config" | "tokenizer">;

/**
 * Whether `model` differs in configuration or tokenizer from the base model that `run` keeps. False if the run keeps no
 * base model. Also false for a GGUF file, because the file's hash covers its configuration and tokenizer.
 * @param hash SHA-256 of the weights that the run's adapters were trained on.
 */
export const differsFromKept = async (model: Reading, run: string, hash: string): Promise<boolean> => {
  const place = await keptBaseOf(run);
  if (isGgufName(place)) return false;
  const kept = await openPretrained(place).catch(unlessDamaged);
  if (kept === undefined) return false;
  try {
    // If the kept base model has no manifest, skip the comparison, because somebody may have changed the model's files.
    return kept.checked && (await kept.sha256()) === hash && readingOf(kept) !== readingOf(model);
  } finally {
    await kept.weights.close();
  }
};
