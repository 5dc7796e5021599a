/** Losses that a run can be compared with before it starts. */
import type { NewRunRequest, RunPlan, RunSummary } from "../../src/serve/studio/protocol.ts";

/**
 * Losses of the default settings on held-out English prose, in nats per character, by the number of training tokens:
 * docs/recipe.md, `prose-5k`, `prose-50k` and `prose-500k`. For longer texts, the loss depends more on the text than on
 * its length.
 */
const prose: readonly (readonly [number, number])[] = [
  [4000, 2.4],
  [40_000, 1.8],
  [400_000, 1.5],
];

/** Shortest text that is compared with prose, in tokens. A model cannot learn from a shorter text. */
export const fewestTokens = 2000;

/** Expected loss of prose with the default settings. Between two lengths, the loss is interpolated. */
export const proseLoss = (trainTokens: number): number => {
  const upper = prose.findIndex(([tokens]) => tokens >= trainTokens);
  const [high, low] = [prose[upper], prose[upper - 1]];
  if (high === undefined) return prose.at(-1)?.[1] ?? Number.NaN;
  if (low === undefined) return high[1];
  const share = Math.log(trainTokens / low[0]) / Math.log(high[0] / low[0]);
  return low[1] + share * (high[1] - low[1]);
};

/**
 * Losses of the built-in texts after the 1,000 steps of their default settings: 1.44 for Moby-Dick, measured with
 * `train --data moby-dick`, and 1.53 for Tiny Shakespeare.
 */
const corpora: Readonly<Record<string, number>> = { "moby-dick": 1.4, "tiny-shakespeare": 1.5 };

/** Maximum number of different characters of a text that is compared with prose. */
const mostCharacters = 256;

/**
 * Expected loss in nats per character, and the texts for which it was measured. Undefined if settings are not the
 * default settings, or if the text is not read by characters.
 */
export const expectedLoss = (
  { text, preset, config, initFrom }: NewRunRequest,
  { config: { tokenizer }, trainTokens, vocabSize }: RunPlan,
): { readonly loss: number; readonly of: string } | undefined => {
  const isDefault = preset === undefined && config === undefined && initFrom === undefined;
  if (!isDefault || tokenizer.kind !== "char" || vocabSize > mostCharacters) return undefined;
  const known = text.kind === "corpus" ? corpora[text.name] : undefined;
  if (known !== undefined) return { loss: known, of: "This text, with these settings," };
  return text.kind === "corpus" || trainTokens < fewestTokens
    ? undefined
    : { loss: proseLoss(trainTokens), of: "English prose of this length" };
};

const nameOf = ({ text }: NewRunRequest): string | undefined => {
  if (text.kind === "corpus") return text.name;
  return text.kind === "file" ? text.path.split("/").at(-1) : undefined;
};

/**
 * Lowest loss of the runs on the same text, in nats per token. Undefined if there is no such run. Pasted texts have no
 * name, so they are not compared.
 */
export const bestBefore = (
  request: NewRunRequest,
  { config: { tokenizer }, vocabSize }: RunPlan,
  runs: readonly Pick<RunSummary, "corpus" | "config" | "vocabSize" | "best">[],
): number | undefined => {
  const losses = runs.flatMap((run) =>
    run.best !== null &&
    run.corpus === nameOf(request) &&
    run.vocabSize === vocabSize &&
    run.config.tokenizer.kind === tokenizer.kind
      ? [run.best.valLoss]
      : [],
  );
  return losses.length === 0 ? undefined : Math.min(...losses);
};
