/** Whether a model has the weights that an adapter was trained on. */
import { CheckpointError } from "../../../core/errors/errors.ts";
import type { Pretrained } from "../../pretrained.ts";
import type { OpenedAdapter, OpenedAdapters } from "../load.ts";

/** Whether `model` has the weights of an adapter's base; true also where one of the two hashes is unknown. */
export const isBase = async (
  { sha256 }: Pick<Pretrained, "sha256">,
  { baseHash }: Pick<OpenedAdapter, "baseHash">,
): Promise<boolean> => {
  // Asked for only where it is compared: without a manifest it costs a pass over the weights.
  const found = baseHash === null ? null : await sha256();
  return found === null || found === baseHash;
};

/** A way to an adapter's base whose place is unknown. */
export const trainedOn = "the model that it was trained on";

/**
 * Error for a model that is not an adapter's base.
 * @param model its place.
 * @param way to the right one.
 */
export const notBase = (model: string, { where }: Pick<OpenedAdapter, "where">, way: string): CheckpointError =>
  new CheckpointError({
    where: model,
    must: "the weights must be those that the adapter was trained on",
    got: `others: their SHA-256 is not the one in ${where}`,
    hint: `${way}, or baseCheck: false to take these`,
  });

/**
 * @param wayTo says where an adapter's base is.
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
