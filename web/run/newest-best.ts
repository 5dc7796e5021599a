/**
 * Best evaluation of a run. The events of a run arrive before its summary, so a summary may lack the last evaluations.
 */
import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import type { RunData } from "./run-data.ts";

type Best = RunSummary["best"];

/** The best evaluation of the summary, or a later evaluation with a lower loss. */
export const newestBest = (best: Best, { evals }: Pick<RunData, "evals">): Best => {
  let newest = best;
  for (let i = 0; i < evals.length; i++) {
    const at = (column: "step" | "valLoss" | "natsPerCharacter" | "bitsPerByte"): number =>
      evals.column(column)[i] as number;
    if (at("step") <= (newest?.step ?? -1) || at("valLoss") >= (newest?.valLoss ?? Number.POSITIVE_INFINITY)) continue;
    newest = {
      step: at("step"),
      valLoss: at("valLoss"),
      natsPerCharacter: at("natsPerCharacter"),
      bitsPerByte: at("bitsPerByte"),
    };
  }
  return newest;
};
