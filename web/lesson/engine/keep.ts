/** Stores the lesson's trainings in the browser's private file system, so that a reload loses nothing. */
import type { FileStore } from "../../../src/browser.ts";
import type { Library } from "./learner.ts";
import type { Measured, Outcome, Report, Sample, SessionName } from "./messages.ts";

/** Session at one step: the state to resume from, and everything that it has reported. */
export interface KeptSession {
  readonly step: number;
  /** Step of the last sample and measurement. */
  readonly looked: number;
  readonly losses: readonly (readonly number[])[];
  readonly measured: readonly Measured[];
  readonly samples: readonly Sample[];
  readonly outcomes: readonly Outcome[];
  /** Weights and optimizer moments of each learner. */
  readonly learners: readonly (readonly Float32Array[])[];
}

type Files = Readonly<Record<string, Uint8Array>>;

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

const textName = "text.txt";
/** Version of the file format. Increase it when the format changes. */
const form = 1;

/**
 * @param config configuration of the models. A stored session is resumed only if its models have the same
 * configuration.
 */
export const filesOf = (name: SessionName, config: unknown, { learners, ...facts }: KeptSession): Files => ({
  [`${name}/session.json`]: encode(
    JSON.stringify({ form, config, ...facts, arrays: learners.map((all) => all.length) }),
  ),
  ...Object.fromEntries(
    learners.flatMap((arrays, i) =>
      arrays.map((values, k) => [
        `${name}/learner-${i}-${k}`,
        new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice(),
      ]),
    ),
  ),
});

/** Session that is stored in files. Undefined if no session is stored, or if its models have another configuration. */
export const sessionIn = (files: Files, name: SessionName, config: unknown): KeptSession | undefined => {
  const described = files[`${name}/session.json`];
  if (described === undefined) return undefined;
  const { arrays, ...facts } = JSON.parse(decode(described));
  if (facts.form !== form || JSON.stringify(facts.config) !== JSON.stringify(config)) return undefined;
  const learners = (arrays as readonly number[]).map((count, i) =>
    Array.from(
      { length: count },
      (_, k) => new Float32Array((files[`${name}/learner-${i}-${k}`] ?? new Uint8Array()).slice().buffer),
    ),
  );
  return { ...facts, learners };
};

/** Store for the sessions of one text. */
export interface Keeper {
  /** Opens the store and loads its sessions of this text. */
  open(library: Library, text: string): Promise<void>;
  session(name: SessionName, config: unknown): KeptSession | undefined;
  /** Stores a session. The other session of the same text is kept. Sessions of other texts are deleted. */
  keep(name: SessionName, config: unknown, session: KeptSession): Promise<void>;
  forget(name: SessionName): Promise<void>;
}

export const createKeeper = (report: (report: Report) => void): Keeper => {
  let opened: Promise<FileStore | undefined> | undefined;
  let text = "";
  const sessions = new Map<SessionName, Files>();
  const tell = (problem: string | null): void => report({ kind: "kept", problem });
  const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
  const openStore = async (library: Library): Promise<FileStore | undefined> => {
    try {
      const store = await library.openFileStore("lesson");
      tell(null);
      return store;
    } catch (error) {
      tell(messageOf(error));
      return undefined;
    }
  };
  const write = async (): Promise<void> => {
    const store = await opened;
    if (store === undefined) return;
    try {
      await store.write(Object.assign({ [textName]: encode(text) }, ...sessions.values()));
      tell(null);
    } catch (error) {
      tell(messageOf(error));
    }
  };
  return {
    async open(library, next) {
      opened ??= openStore(library);
      text = next;
      sessions.clear();
      const store = await opened;
      // A damaged store is ignored and later overwritten.
      const files = await store?.read().catch(() => null);
      if (files === null || files === undefined || decode(files[textName]) !== text) return;
      for (const name of ["model", "race"] as const) {
        const own = Object.entries(files).filter(([path]) => path.startsWith(`${name}/`));
        if (own.length > 0) sessions.set(name, Object.fromEntries(own));
      }
    },
    session: (name, config) => sessionIn(sessions.get(name) ?? {}, name, config),
    async keep(name, config, session) {
      sessions.set(name, filesOf(name, config, session));
      await write();
    },
    async forget(name) {
      if (sessions.delete(name)) await write();
    },
  };
};
