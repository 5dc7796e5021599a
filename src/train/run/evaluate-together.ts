import { yieldToHost } from "../../core/system/yield.ts";
import {
  type Evaluation,
  evaluationOf,
  evaluationPasses,
  lossOfPass,
  type MeasuredTokens,
} from "../../evaluate/evaluate.ts";
import type { Model } from "../../models/model.ts";
import type { RunTeam } from "../../trainer/team.ts";

/**
 * Number of passes that a machine computes between two exchanges. After a request to stop, the machines compute at most
 * this many more passes.
 */
const passesAtATime = 8;

/**
 * Evaluates a model on all machines of a team. The machines have equal weights, and each computes the losses of its
 * share of the passes. The losses are added in the order of the passes, so the result has the same bits as on one
 * machine. A machine that is asked to stop interrupts the evaluation.
 * @returns the same result on every machine; undefined if the evaluation was interrupted (then `agreed` is aborted).
 */
export const evaluateTogether = async (
  { rank, size, asked, agreed, gather }: Pick<RunTeam, "rank" | "size" | "gather" | "asked" | "agreed">,
  model: Model,
  measured: MeasuredTokens,
): Promise<Evaluation | undefined> => {
  const { contextLength } = model.config;
  const passes = [...evaluationPasses(measured, { contextLength, windows: false })];
  let nats = 0;
  for (let first = 0; first < passes.length; first += size * passesAtATime) {
    if (agreed?.aborted === true) return undefined;
    const count = Math.min(size * passesAtATime, passes.length - first);
    // The number of losses comes first, then the losses.
    const ours = new Float64Array(1 + Math.ceil(count / size));
    let done = 0;
    for (let i = rank; i < count && asked?.aborted !== true; i += size) {
      const make = passes[first + i];
      if (make === undefined) throw new Error(`an evaluation has no pass ${first + i}`);
      done++;
      ours[done] = await lossOfPass(model, make());
      await yieldToHost();
    }
    ours[0] = done;
    const all = await gather(ours);
    if (all.reduce((sum, [theirs = 0]) => sum + theirs, 0) < count) return undefined;
    for (let i = 0; i < count; i++) nats += all[i % size]?.[1 + Math.floor(i / size)] ?? Number.NaN;
  }
  return evaluationOf(measured, nats);
};
