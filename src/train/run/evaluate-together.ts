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

/** Passes that a machine computes before all gather: a machine that was asked to stop waits no longer for the others. */
const passesAtATime = 8;

/**
 * `evaluate` by all machines of a team, which have the same weights: each computes the losses of its share of the passes.
 * They are added in the order of the passes, so the result has the bits of one machine's.
 * A machine that is asked to stop breaks it off.
 * @returns the same on every machine; undefined if it was broken off, and then `agreed` is aborted.
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
    // The number of losses, and the losses.
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
