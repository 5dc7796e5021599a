/**
 * Combines the gradients of the passes computed here into the gradients of the whole step. One machine has nothing to
 * combine; a team sums over all machines.
 */
import type { Backend, Storage } from "../backend/backend.ts";
import type { ReadValues } from "../models/arena.ts";
import { arenaReader } from "../models/arena.ts";
import type { Gradients } from "../models/gradients.ts";
import { type Model, trainedPart } from "../models/model.ts";
import type { Range } from "../models/pieces.ts";
import type { OptimizerConfig } from "../optim/config.ts";
import type { PartOfState } from "../optim/optimizer.ts";
import { type Stretch, stretchesOf } from "../optim/stretches.ts";
import type { Losses } from "./losses.ts";
import { createSharing } from "./sharing.ts";
import type { Team } from "./team.ts";

/** What a trainer does between the backward pass and the update, and after the update. */
export interface Reduction {
  /** The weights that this machine updates. */
  readonly stretches: readonly Stretch[];
  /** Whether this machine updates all weights. */
  readonly updatesAll: boolean;
  /**
   * Called with gradients that are final, while other gradients are still computed. Undefined if no machine needs this.
   */
  readonly complete: ((range: Range) => void) | undefined;
  /**
   * Returns the losses of the step, from the losses of the passes computed here. Afterwards `gradients` has the gradients
   * of the step. (On one machine, they do not include the addend yet.)
   * @param addend a part of the passes' gradients that is not added to the rest yet. Default: none.
   */
  reduce(losses: Losses, addend?: Storage): Promise<Losses>;
  /**
   * L2 norm of the step's gradient. Afterwards `gradients` has the gradients of the step, including the addend. Pass
   * the same addend as to `reduce`.
   */
  norm(addend?: Storage): Promise<number>;
  /** Fetches the gradients that other machines own, for an observer. */
  completeGradients(): Promise<void>;
  /** Fetches the weights that other machines updated. */
  completeWeights(): Promise<void>;
  /** Sums a number over all machines. */
  total(value: number): Promise<number>;
  /** Reads an array of the optimizer's state. */
  reader(part: PartOfState): ReadValues;
  /** Runs work that calls the functions above. If it fails, no transfer writes to the trainer's arrays afterwards. */
  during<T>(work: Promise<T>): Promise<T>;
}

/** The reduction of one machine, which computes all passes and updates all weights. */
const onOneMachine = (backend: Backend, model: Model, config: OptimizerConfig, gradients: Gradients): Reduction => ({
  stretches: stretchesOf(trainedPart(model).layout, config, () => true),
  updatesAll: true,
  complete: undefined,
  reduce: async (losses) => losses,
  norm: (addend) => gradients.norm(addend),
  completeGradients: async () => {},
  completeWeights: async () => {},
  total: async (value) => value,
  reader: (part) => arenaReader(backend, part),
  during: (work) => work,
});

/** The reduction of a machine in a team. */
const onSeveral = (
  team: Team,
  backend: Backend,
  model: Model,
  config: OptimizerConfig,
  gradients: Gradients,
): Reduction => {
  const { layout, arena } = trainedPart(model);
  const sharing = createSharing(team, backend, layout, config, gradients.arena.storage);
  /** The gradients; weights that no op has used have gradient 0. */
  const touched = (): Storage => gradients.arena.storage;
  return {
    stretches: sharing.stretches,
    updatesAll: false,
    complete: sharing.complete,
    async reduce(losses, addend) {
      const y = { storage: touched(), offset: 0 };
      if (addend !== undefined) backend.run("add", { a: y, b: { storage: addend, offset: 0 }, y, n: addend.length });
      await sharing.summed();
      const totals: number[] = [];
      for (const loss of losses) totals.push(await team.total(loss));
      return totals;
    },
    // `reduce` has added the addend already.
    norm: () => sharing.norm(),
    completeGradients: () => sharing.gather(touched()),
    completeWeights: () => sharing.gather(arena.storage),
    total: team.total,
    reader: sharing.reader,
    async during(work) {
      try {
        return await work;
      } catch (error) {
        // Transfers may be in progress. Arrays must not be freed before the transfers end.
        await sharing.giveUp();
        throw error;
      }
    },
  };
};

/** @param gradients the sum over the passes that are computed here. */
export const reductionOf = (
  team: Team,
  backend: Backend,
  model: Model,
  config: OptimizerConfig,
  gradients: Gradients,
): Reduction =>
  team.size === 1
    ? onOneMachine(backend, model, config, gradients)
    : onSeveral(team, backend, model, config, gradients);
