/** The store of a run that several ranks train: rank 0 writes, the others go on as if they had. */
import type { RunStore, SavedState } from "../run/run-input.ts";
import type { RunTeam } from "../steps/team.ts";

/** Elements [offset, offset + size) of part `part` of the optimizer's state. */
interface Asked {
  readonly part: number;
  readonly offset: number;
  readonly size: number;
}

/** What rank 0's store reads of the optimizer's state, all ranks read: each has a share of it. */
const askingAll = (team: RunTeam, state: SavedState): SavedState => {
  let before: Promise<unknown> = Promise.resolve();
  const optimizer = state.optimizer.map((one, part) => ({
    ...one,
    read: (offset: number, size: number): Promise<Float32Array> => {
      // One after the other, in the order in which the others are told.
      const values = before.then(async () => {
        await team.fromFirst(async (): Promise<Asked | null> => ({ part, offset, size }));
        return one.read(offset, size);
      });
      before = values.catch(() => {});
      return values;
    },
  }));
  return { ...state, optimizer };
};

/** Reads what rank 0 asks for, until it has written all. */
const serve = async (team: RunTeam, { optimizer }: SavedState): Promise<void> => {
  const next = (): Promise<Asked | null> =>
    team.fromFirst(async () => {
      throw new Error("rank 0 does not serve itself");
    });
  for (let asked = await next(); asked !== null; asked = await next()) {
    await optimizer[asked.part]?.read(asked.offset, asked.size);
  }
};

/** The store of a rank that writes nothing. */
const following = (team: RunTeam, path: string, readRollback: NonNullable<RunStore["readRollback"]>): RunStore => ({
  path,
  record: async () => {},
  async saveCheckpoint(state) {
    await serve(team, state);
    return path;
  },
  saveStart: (state) => serve(team, state),
  saveBest: async () => {},
  saveRecord: async (name) => `${path}/${name}`,
  saveRollback: async () => {},
  readRollback,
});

/** Rank 0's store, whose state the others have shares of. */
const leading = (team: RunTeam, store: RunStore, readRollback: NonNullable<RunStore["readRollback"]>): RunStore => {
  const written = (): Promise<Asked | null> => team.fromFirst(async () => null);
  return {
    ...store,
    async saveCheckpoint(state) {
      const path = await store.saveCheckpoint(askingAll(team, state));
      await written();
      return path;
    },
    async saveStart(state) {
      await store.saveStart?.(askingAll(team, state));
      await written();
    },
    readRollback,
  };
};

/**
 * The store for this rank. A state to go back to is read by rank 0 and sent to the others.
 * @param store rank 0's; null on the others, or if the run is not kept.
 */
export const storeOfRanks = async (team: RunTeam, store: RunStore | null): Promise<RunStore | null> => {
  const path = await team.fromFirst(async () => store?.path ?? null);
  if (path === null) return null;
  const readRollback = () => team.fromFirst(async () => (await store?.readRollback?.()) ?? null);
  return store === null ? following(team, path, readRollback) : leading(team, store, readRollback);
};
