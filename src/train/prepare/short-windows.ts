/** Detects a text that is too short for the windows of a pretrained model. */
import type { RunConfig } from "../../config/config.ts";
import { given } from "../../config/given.ts";
import type { ModelConfig } from "../../models/config.ts";

/** Windows with fewer tokens are shorter than most answers, so they teach a model little. */
const fewTokens = 64;

/**
 * A notice for a run that continues a model in much shorter windows than the model's own, because the held-out part of
 * the text is short. Undefined if the windows are long enough, or if the user chose them.
 * @param changes the user's changes of the configuration.
 */
export const shortWindowsNotice = (
  { model: { contextLength } }: RunConfig,
  before: Pick<ModelConfig, "contextLength">,
  changes: unknown,
): string | undefined => {
  if (contextLength >= Math.min(fewTokens, before.contextLength)) return undefined;
  if (given(changes, ["model", "contextLength"]) !== undefined) return undefined;
  return (
    `the text or its held-out part is so short that windows have ${contextLength} tokens, but the model has ` +
    `${before.contextLength.toLocaleString("en-US")}; try a .jsonl file for questions and answers, more text, or --val-data with a text of its own`
  );
};
