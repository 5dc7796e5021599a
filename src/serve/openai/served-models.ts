/**
 * The models of a server by name. Each model has an engine in its own thread. If the files of a model are replaced, the
 * server loads the new model while the old model still works. The old model is closed after its last text. So no
 * request waits or fails because of a replacement.
 */
import { createHash } from "node:crypto";
import { openTemplateRenderer, type TemplateRenderer } from "../../chat/template.node.ts";
import type { EngineCounts } from "../../engine/engine.ts";
import type { EngineOptions } from "../../generate/engine-options.ts";
import type { Speculate } from "../../generate/speculation/speculate.ts";
import type { WorkerModel } from "../../worker/model.node.ts";
import type { ThreadEngine } from "../../worker/model.ts";
import { ApiError } from "./api-error.ts";

/** A model that a server loads. */
export interface ModelSource {
  /** Its id. */
  readonly name: string;
  /** Other names that requests may use for the model, such as its path. */
  readonly aliases: readonly string[];
  /** Loads the model with its adapters. */
  load(): Promise<WorkerModel>;
  /** A string that changes when the model's files are replaced. Undefined: the files do not exist. */
  version(): Promise<string | undefined>;
}

/** Limits of each model. */
export interface ServingLimits {
  /** Maximum number of texts that a model writes at the same time. */
  readonly parallel: number;
  /** Maximum number of texts that wait. */
  readonly queue: number;
  /** Maximum size in bytes of the KV cache of each model. */
  readonly cacheBytes: number;
  /** How the engine guesses tokens. Default: no guesses. */
  readonly speculate?: Speculate | undefined;
}

/** A loaded model with its engine. */
interface Loaded {
  readonly lm: WorkerModel;
  /** The adapter that belongs to the model itself, such as the adapter of a run. Null: the model has no such adapter. */
  readonly own: string | null;
  readonly engine: ThreadEngine;
  /** Identifies the weights. If the weights change, the fingerprint in the answers changes too. */
  readonly fingerprint: string;
  readonly created: number;
  /** Number of requests that use the model. */
  uses: number;
  /** Whether a newer model has replaced this model. */
  replaced: boolean;
}

interface Failed {
  readonly version: string;
  readonly attempts: number;
  /** Time of the next attempt with this version. Another version is tried immediately. */
  readonly notBefore: number;
  /** The last line about it. */
  readonly told: string;
}

interface Served {
  readonly source: ModelSource;
  readonly templates: TemplateRenderer;
  loaded: Loaded;
  /** Version of the model's files when the model was loaded. */
  version: string;
  /** Failed attempts to load a version of the replaced files. Undefined: the last attempt succeeded. */
  failed: Failed | undefined;
  loading: Promise<void> | undefined;
  /** Number of texts in progress, and number of waiting texts. */
  texts: number;
}

/** A model that one request uses. */
export interface Lease extends Pick<Loaded, "lm" | "engine" | "fingerprint"> {
  /** Name of the model in the request. */
  readonly name: string;
  /** The adapter that the request names, or the model's own adapter. Null: no adapter. */
  readonly adapter: string | null;
  /** Maximum number of texts that the model writes at the same time. */
  readonly parallel: number;
  /**
   * Renders conversations with the chat template. Each model has its own renderer. So a slow template does not delay
   * other models.
   */
  readonly templates: TemplateRenderer;
  /** Gives the model back. A second call does nothing. */
  release(): void;
}

/** List entry of a model, or of an adapter that requests can name. */
export interface ListedModel {
  readonly name: string;
  /** The base model of an adapter. Null: the entry is a model. */
  readonly parent: string | null;
  readonly created: number;
  readonly contextLength: number;
}

interface ModelState {
  readonly name: string;
  readonly chats: boolean;
  readonly texts: number;
  readonly counts: EngineCounts;
}

export interface ServedModels {
  list(): readonly ListedModel[];
  /** @throws ApiError for an unknown name. */
  lookUp(name: string): ListedModel;
  /**
   * Takes a model for a request. The request must release the model.
   * @param name name of the model. Default: the first model.
   * @param texts number of texts that the request will write.
   * @throws ApiError for an unknown name, or if too many texts wait.
   */
  take(name: string | undefined, texts: number): Lease;
  /**
   * For each model: whether it has a chat template, the number of its texts (in progress and waiting), and the counts of
   * its engine.
   */
  state(): Promise<readonly ModelState[]>;
  /** Checks for replaced files and loads them. */
  refresh(): Promise<void>;
  close(): Promise<void>;
}

/** Milliseconds to wait before the next attempt to load replaced files: after the first failure, and at most. */
const firstWaitMs = 2000;
const longestWaitMs = 60_000;

const busy = (waiting: number, queue: number): ApiError =>
  new ApiError(429, `at most ${queue} texts may wait; got ${waiting} already; try again later`, {
    code: "queue_full",
    // An estimate, because writing a text takes seconds.
    retryAfter: 1 + Math.floor(waiting / 16),
  });

const unknownModel = (name: string, names: readonly string[]): ApiError =>
  new ApiError(
    404,
    `model: must be one of ${names.slice(0, 10).join(", ")}; got ${JSON.stringify(name.slice(0, 100))}`,
    { param: "model", code: "model_not_found" },
  );

const open = async (
  source: ModelSource,
  sizes: EngineOptions,
  version: string,
  speculate: Speculate,
): Promise<Loaded> => {
  const lm = await source.load();
  try {
    const opened = await lm.openEngine(sizes);
    const engine: ThreadEngine = {
      ...opened,
      generateBatches: (options = {}) => opened.generateBatches({ ...options, speculate }),
    };
    const fingerprint = `fp_${createHash("sha256").update(`${source.name} ${version}`).digest("hex").slice(0, 12)}`;
    const created = Math.floor(Date.now() / 1000);
    return { lm, own: lm.adapter, engine, fingerprint, created, uses: 0, replaced: false };
  } catch (error) {
    await lm.close();
    throw error;
  }
};

const stateOf = async ({ source, loaded, texts }: Served): Promise<ModelState> => ({
  name: source.name,
  chats: loaded.lm.chatTemplate !== null,
  texts,
  counts: await loaded.engine.counts(),
});

/** The files may be incomplete, so later calls try again, at growing intervals. */
const failedAgain = (before: Failed | undefined, version: string, told: string): Failed => {
  const attempts = before?.version === version ? before.attempts + 1 : 1;
  const waitMs = Math.min(longestWaitMs, firstWaitMs * 2 ** (attempts - 1));
  return { version, attempts, notBefore: performance.now() + waitMs, told };
};

const mustWait = ({ failed }: Served, version: string): boolean =>
  failed?.version === version && performance.now() < failed.notBefore;

/**
 * Loads all models.
 * @param tell gets a line for the user when a model was loaded again, or could not be loaded.
 */
export const openServedModels = async (
  sources: readonly ModelSource[],
  { parallel, queue, cacheBytes, speculate = false }: ServingLimits,
  tell: (line: string) => void,
): Promise<ServedModels> => {
  const sizes = { cacheBytes, maxSequences: parallel };
  const all: Served[] = [];
  const closing = new Set<Promise<void>>();
  let isClosed = false;
  const close = (loaded: Loaded): void => {
    const ended = loaded.lm.close().catch(() => {});
    closing.add(ended);
    void ended.then(() => closing.delete(ended));
  };
  for (const source of sources) {
    try {
      const version = (await source.version()) ?? "";
      all.push({
        source,
        templates: openTemplateRenderer(),
        version,
        loaded: await open(source, sizes, version, speculate),
        loading: undefined,
        texts: 0,
        failed: undefined,
      });
    } catch (error) {
      for (const { loaded } of all) close(loaded);
      await Promise.all(closing);
      throw error;
    }
  }
  /** The adapters that requests can name. */
  const adaptersOf = ({ loaded: { lm, own } }: Served): readonly string[] => lm.adapters.filter((one) => one !== own);
  const namesOf = (served: Served): readonly string[] => [served.source.name, ...adaptersOf(served)];
  /** `named`: the adapter that the name belongs to. Null: it belongs to the model. */
  const find = (name: string | undefined): { readonly served: Served; readonly named: string | null } => {
    // Ids come before aliases. An alias may equal the id of another model or of an adapter.
    const byId = all.find((served) => name === undefined || namesOf(served).includes(name));
    if (byId !== undefined) {
      const isAdapter = name !== undefined && name !== byId.source.name;
      return { served: byId, named: isAdapter ? name : null };
    }
    const byAlias = all.find(({ source }) => name !== undefined && source.aliases.includes(name));
    if (byAlias !== undefined) return { served: byAlias, named: null };
    throw unknownModel(name ?? "", all.flatMap(namesOf));
  };
  const entryOf = ({ source, loaded: { lm, created } }: Served, named: string | null): ListedModel => ({
    ...{ name: named ?? source.name, parent: named === null ? null : source.name },
    ...{ created, contextLength: lm.config.contextLength },
  });
  const loadAnew = async (served: Served, version: string): Promise<void> => {
    const { source, loaded: before } = served;
    try {
      served.loaded = await open(source, sizes, version, speculate);
    } catch (error) {
      const told = `${source.name} was replaced, but cannot be loaded: ${error instanceof Error ? error.message : error}`;
      if (told !== served.failed?.told) tell(told);
      served.failed = failedAgain(served.failed, version, told);
      return;
    }
    served.version = version;
    served.failed = undefined;
    before.replaced = true;
    if (before.uses === 0) close(before);
    tell(`${source.name} was replaced; the new files are loaded`);
  };

  return {
    list: () =>
      all.flatMap((served) => [entryOf(served, null), ...adaptersOf(served).map((name) => entryOf(served, name))]),
    lookUp(name) {
      const { served, named } = find(name);
      return entryOf(served, named);
    },
    take(name, texts) {
      const { served, named } = find(name);
      const waiting = Math.max(0, served.texts - parallel);
      const fits = served.texts + texts <= parallel + queue;
      // If no other text waits, accept more texts than the limit. Otherwise these texts could never be written.
      const fitsNever = texts > parallel + queue;
      if (texts > 0 && !fits && !(fitsNever && waiting === 0)) throw busy(waiting, queue);
      const { loaded } = served;
      served.texts += texts;
      loaded.uses++;
      let isHeld = true;
      return {
        ...{ lm: loaded.lm, engine: loaded.engine, fingerprint: loaded.fingerprint },
        ...{ name: name ?? served.source.name, adapter: named ?? loaded.own, parallel, templates: served.templates },
        release() {
          if (!isHeld) return;
          isHeld = false;
          served.texts -= texts;
          loaded.uses--;
          if (loaded.replaced && loaded.uses === 0) close(loaded);
        },
      };
    },
    state: () => Promise.all(all.map(stateOf)),
    async refresh() {
      for (const served of all) {
        if (served.loading !== undefined) continue;
        const version = await served.source.version();
        // If the folder does not exist, the old model stays.
        if (version === served.version) served.failed = undefined;
        if (isClosed || version === undefined || version === served.version) continue;
        if (mustWait(served, version)) continue;
        // Another call may have begun to load while this call waited for the version.
        if (served.loading !== undefined) continue;
        served.loading = loadAnew(served, version).finally(() => {
          served.loading = undefined;
        });
        await served.loading;
      }
    },
    async close() {
      isClosed = true;
      await Promise.all(all.map(({ loading }) => loading));
      for (const { loaded, templates } of all) {
        templates.close();
        close(loaded);
      }
      await Promise.all(closing);
    },
  };
};
