/** The store of a run that several ranks train: rank 0 writes, the others go on as if they had. */
import type { RunStore } from "../run/run-input.ts";
import type { RunTeam } from "../steps/team.ts";

/** The store of a rank that writes nothing. */
const following = (path: string, readRollback: NonNullable<RunStore["readRollback"]>): RunStore => ({
  path,
  record: async () => {},
  saveCheckpoint: async () => path,
  saveStart: async () => {},
  saveBest: async () => {},
  saveRecord: async (name) => `${path}/${name}`,
  saveRollback: async () => {},
  readRollback,
});

/**
 * The store for this rank. A state to go back to is read by rank 0 and sent to the others.
 * @param store rank 0's; null on the others, or if the run is not kept.
 */
export const storeOfRanks = async (team: RunTeam, store: RunStore | null): Promise<RunStore | null> => {
  const path = await team.fromFirst(async () => store?.path ?? null);
  if (path === null) return null;
  const readRollback = () => team.fromFirst(async () => (await store?.readRollback?.()) ?? null);
  return store === null ? following(path, readRollback) : { ...store, readRollback };
};
