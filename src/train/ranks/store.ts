/** The store of a run that several ranks train. Only rank 0 writes; the other ranks take part when rank 0 reads. */
import type { RunStore, SavedState } from "../../runs/store.ts";
import type { RunTeam } from "../../trainer/team.ts";

/** What rank 0's store can do. All ranks need this, for example to know where a rollback state is kept. */
interface StoreAbilities {
  readonly path: string;
  readonly savesStart: boolean;
  readonly savesRecords: boolean;
  readonly savesRollbacks: boolean;
}

const abilitiesOf = ({ path, saveStart, saveRecord, saveRollback }: RunStore): StoreAbilities => ({
  path,
  savesStart: saveStart !== undefined,
  savesRecords: saveRecord !== undefined,
  savesRollbacks: saveRollback !== undefined,
});

/** Elements [offset, offset + size) of part `part` of the optimizer's state. */
interface Asked {
  readonly part: number;
  readonly offset: number;
  readonly size: number;
}

/**
 * Each rank holds a share of the optimizer's state. So when rank 0's store reads the state, all ranks read the same
 * elements together.
 */
const askingAll = (team: RunTeam, state: SavedState): SavedState => {
  let before: Promise<unknown> = Promise.resolve();
  const optimizer = state.optimizer.map((one, part) => ({
    ...one,
    read: (offset: number, size: number): Promise<Float32Array> => {
      // Reads run one after another, in the order in which the other ranks hear of them.
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

/** Reads what rank 0 asks for, until rank 0 has written everything. */
const serve = async (team: RunTeam, { optimizer }: SavedState): Promise<void> => {
  const next = (): Promise<Asked | null> =>
    team.fromFirst(async () => {
      throw new Error("rank 0 cannot serve itself");
    });
  for (let asked = await next(); asked !== null; asked = await next()) {
    await optimizer[asked.part]?.read(asked.offset, asked.size);
  }
};

/** The store of a rank that writes nothing. */
const following = (team: RunTeam, { path, savesStart, savesRecords, savesRollbacks }: StoreAbilities): RunStore => ({
  path,
  record: async () => {},
  async saveCheckpoint(state) {
    await serve(team, state);
    return path;
  },
  saveBest: async () => {},
  saveAveraged: async () => {},
  ...(savesStart ? { saveStart: (state: SavedState) => serve(team, state) } : {}),
  ...(savesRecords ? { saveRecord: async (name: string) => `${path}/${name}` } : {}),
  ...(savesRollbacks ? { saveRollback: async () => {} } : {}),
});

/** Rank 0's store. The other ranks take part when it reads the state, because they hold shares of it. */
const leading = (team: RunTeam, store: RunStore): RunStore => {
  const together = async <T>(state: SavedState, save: (state: SavedState) => Promise<T>): Promise<T> => {
    const result = await save(askingAll(team, state));
    await team.fromFirst(async (): Promise<Asked | null> => null);
    return result;
  };
  const { saveStart } = store;
  return {
    ...store,
    saveCheckpoint: (state) => together(state, store.saveCheckpoint),
    ...(saveStart === undefined ? {} : { saveStart: (state: SavedState) => together(state, saveStart) }),
  };
};

/**
 * The store for this rank. Rank 0 reads a rollback state and sends it to the other ranks.
 * @param store rank 0's store; null on the other ranks, or if the run is not saved.
 */
export const storeOfRanks = async (team: RunTeam, store: RunStore | null): Promise<RunStore | null> => {
  const abilities = await team.fromFirst(async () => (store === null ? null : abilitiesOf(store)));
  if (abilities === null) return null;
  const shared = store === null ? following(team, abilities) : leading(team, store);
  if (!abilities.savesRollbacks) return shared;
  return { ...shared, readRollback: () => team.fromFirst(async () => (await store?.readRollback?.()) ?? null) };
};
