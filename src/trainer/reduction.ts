/** From the passes that are computed here to the whole step: nothing on one machine; in a team, sums over all machines. */
import type { Backend, Storage } from "../backend/backend.ts";
import type { ReadValues } from "../models/arena.ts";
import { arenaReader } from "../models/arena.ts";
import type { Gradients } from "../models/gradients.ts";
import { type Model, trainedPart } from "../models/model.ts";
import type { Range } from "../models/pieces.ts";
import type { OptimizerConfig } from "../optim/config.ts";
import type { PartOfState } from "../optim/optimizer.ts";
import { type Stretch, stretchesOf } from "../optim/stretches.ts";
import { createSharing } from "./sharing.ts";
import type { Team } from "./team.ts";

/** What a trainer does between the backward pass and the update, and after the update. */
export interface Reduction {
  /** The weights that are updated here. */
  readonly stretches: readonly Stretch[];
  /** Whether an update here writes all weights. */
  readonly updatesAll: boolean;
  /** Called with gradients that will not change any more, while others are still computed; absent: nobody needs to know. */
  readonly complete: ((range: Range) => void) | undefined;
  /**
   * The loss of the step, from the loss of the passes that were computed here. Afterwards `gradients` are the step's, but for the
   * addend.
   * @param addend a part of the passes' gradients that has not been added to the others; default: none.
   */
  reduce(loss: number, addend?: Storage): Promise<number>;
  /** Length of the step's gradient. Afterwards `gradients` are the step's, with the addend, which is the one of `reduce`. */
  norm(addend?: Storage): Promise<number>;
  /** Completes the gradients that an observer sees. */
  completeGradients(): Promise<void>;
  /** Completes the weights after an update. */
  completeWeights(): Promise<void>;
  /** The sum of a number over all machines. */
  total(value: number): Promise<number>;
  /** Reads an array of the optimizer's state. */
  reader(part: PartOfState): ReadValues;
  /** Does work in which the functions above are called: where it fails, nobody writes to the trainer's arrays any more. */
  during<T>(work: Promise<T>): Promise<T>;
}

/** The reduction of one machine, which computes all passes and updates all weights. */
const onOneMachine = (backend: Backend, model: Model, config: OptimizerConfig, gradients: Gradients): Reduction => ({
  stretches: stretchesOf(trainedPart(model).layout, config, () => true),
  updatesAll: true,
  complete: undefined,
  reduce: async (loss) => loss,
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
  /** With the weights that no op has touched filled with zeros. */
  const touched = (): Storage => gradients.arena.storage;
  return {
    stretches: sharing.stretches,
    updatesAll: false,
    complete: sharing.complete,
    async reduce(loss, addend) {
      const y = { storage: touched(), offset: 0 };
      if (addend !== undefined) backend.run("add", { a: y, b: { storage: addend, offset: 0 }, y, n: addend.length });
      await sharing.summed();
      return team.total(loss);
    },
    // The addend has been added before others got the sum.
    norm: () => sharing.norm(),
    completeGradients: () => sharing.gather(touched()),
    completeWeights: () => sharing.gather(arena.storage),
    total: team.total,
    reader: sharing.reader,
    async during(work) {
      try {
        return await work;
      } catch (error) {
        // Arrays may be under way: they must not be freed before that has ended.
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
