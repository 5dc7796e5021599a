/** Checks that a model has the weights that an adapter was trained on. */
import { CheckpointError } from "../../../core/errors/errors.ts";
import type { Pretrained } from "../../pretrained.ts";
import type { OpenedAdapter, OpenedAdapters } from "../opened.ts";

/**
 * Whether `model` has the weights of an adapter's base model. Also true if the hash of the model or of the base model
 * is unknown.
 */
export const isBase = async (
  { sha256 }: Pick<Pretrained, "sha256">,
  { baseHash }: Pick<OpenedAdapter, "baseHash">,
): Promise<boolean> => {
  // Compute the model's hash only if it is needed: without a manifest, all weights must be read to compute it.
  const found = baseHash === null ? null : await sha256();
  return found === null || found === baseHash;
};

/** Hint if the base model of an adapter was not found. */
export const trainedOn = "the model that it was trained on";

/**
 * Error for a model that is not an adapter's base model.
 * @param model path or name of the model.
 * @param way hint that names the right model.
 */
export const notBase = (model: string, { where }: Pick<OpenedAdapter, "where">, way: string): CheckpointError =>
  new CheckpointError({
    where: model,
    must: "the model must have the weights that the adapter was trained on",
    got: `a different SHA-256 than in ${where}`,
    hint: `${way}, or baseCheck: false to use these weights`,
  });

/**
 * @param wayTo returns a hint that names an adapter's base model.
 * @throws CheckpointError for the first adapter that was trained on other weights.
 */
export const checkBase = async (
  model: Pick<Pretrained, "where" | "sha256">,
  adapters: OpenedAdapters,
  wayTo: (adapter: OpenedAdapter) => Promise<string>,
): Promise<void> => {
  for (const adapter of adapters.values()) {
    if (!(await isBase(model, adapter))) throw notBase(model.where, adapter, await wayTo(adapter));
  }
};
