/** The store of a run that several ranks train: rank 0 writes, the others go on as if they had. */
import type { RunStore } from "../run/run-input.ts";
import type { RunTeam } from "../steps/team.ts";

/** What rank 0's store can do: all ranks choose by it, as where a state to go back to is kept. */
interface StoreAbilities {
  readonly path: string;
  readonly savesStart: boolean;
  readonly savesRecords: boolean;
  readonly savesRollbacks: boolean;
}

/** The store of a rank that writes nothing. */
const following = ({ path, savesStart, savesRecords, savesRollbacks }: StoreAbilities): RunStore => ({
  path,
  record: async () => {},
  saveCheckpoint: async () => path,
  saveBest: async () => {},
  ...(savesStart ? { saveStart: async () => {} } : {}),
  ...(savesRecords ? { saveRecord: async (name: string) => `${path}/${name}` } : {}),
  ...(savesRollbacks ? { saveRollback: async () => {} } : {}),
});

const abilitiesOf = ({ path, saveStart, saveRecord, saveRollback }: RunStore): StoreAbilities => ({
  path,
  savesStart: saveStart !== undefined,
  savesRecords: saveRecord !== undefined,
  savesRollbacks: saveRollback !== undefined,
});

/**
 * The store for this rank. A state to go back to is read by rank 0 and sent to the others.
 * @param store rank 0's; null on the others, or if the run is not kept.
 */
export const storeOfRanks = async (team: RunTeam, store: RunStore | null): Promise<RunStore | null> => {
  const abilities = await team.fromFirst(async () => (store === null ? null : abilitiesOf(store)));
  if (abilities === null) return null;
  const shared = store ?? following(abilities);
  if (!abilities.savesRollbacks) return shared;
  return { ...shared, readRollback: () => team.fromFirst(async () => (await store?.readRollback?.()) ?? null) };
};
