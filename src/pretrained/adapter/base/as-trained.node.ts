/**
 * Whether a model with the right weights also has the configuration and the tokenizer with which its adapter was trained: a file of
 * a model from elsewhere may be corrected, and the weights stay. The base that the run keeps tells.
 */
import { isGgufName } from "../../gguf/open.node.ts";
import { openPretrained } from "../../open.node.ts";
import type { Pretrained } from "../../pretrained.ts";
import { unlessDamaged } from "./find.node.ts";
import { keptBaseOf } from "./places.node.ts";

type Reading = Pick<Pretrained, "config" | "tokenizer">;

/** What decides how a text goes through weights. */
const readingOf = ({ config, tokenizer }: Reading): string =>
  JSON.stringify([config, tokenizer.kind === "none" ? null : tokenizer.toJSON()]);

/**
 * Whether the base that `run` keeps has another configuration or tokenizer than `model`. Without one nothing is known. A GGUF file has
 * both in it, so its hash compares them.
 * @param hash of the weights that the run's adapters were trained on.
 */
export const differsFromKept = async (model: Reading, run: string, hash: string): Promise<boolean> => {
  const place = await keptBaseOf(run);
  if (isGgufName(place)) return false;
  const kept = await openPretrained(place).catch(unlessDamaged);
  if (kept === undefined) return false;
  try {
    // One without a manifest tells nothing: it may have been changed itself.
    return kept.checked && (await kept.sha256()) === hash && readingOf(kept) !== readingOf(model);
  } finally {
    await kept.weights.close();
  }
};
