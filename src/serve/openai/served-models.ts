/**
 * The models of a server, by their names. Each has an engine in a thread of its own. A model whose files were replaced is loaded
 * anew beside the old one, which goes when its last text is written: no request waits for that, or fails.
 */
import { createHash } from "node:crypto";
import { openTemplateRenderer, type TemplateRenderer } from "../../chat/template.node.ts";
import type { EngineCounts } from "../../engine/engine.ts";
import type { EngineOptions } from "../../generate/open-engine.ts";
import type { Speculate } from "../../generate/speculation/speculate.ts";
import type { WorkerModel } from "../../worker/model.node.ts";
import type { ThreadEngine } from "../../worker/model.ts";
import { ApiError } from "./api-error.ts";

/** A model that a server is to have. */
export interface ModelSource {
  /** Its id. */
  readonly name: string;
  /** Other names that requests may use, such as its path. */
  readonly aliases: readonly string[];
  /** Loads it, with its adapters. */
  load(): Promise<WorkerModel>;
  /** Differs after its files were replaced; undefined: they are not there. */
  version(): Promise<string | undefined>;
}

/** How much a server takes at a time. */
export interface ServingLimits {
  /** Texts that a model writes at the same time. */
  readonly parallel: number;
  /** Texts that wait for that. */
  readonly queue: number;
  /** Bytes of keys and values of each model. */
  readonly cacheBytes: number;
  /** Who guesses tokens of its texts. Default: nobody does. */
  readonly speculate?: Speculate | undefined;
}

/** A loaded model with its engine. */
interface Loaded {
  readonly lm: WorkerModel;
  readonly engine: ThreadEngine;
  /** Tells answers of other weights apart. */
  readonly fingerprint: string;
  readonly created: number;
  /** Requests that use it. */
  uses: number;
  /** Another one has taken its place. */
  replaced: boolean;
}

interface Served {
  readonly source: ModelSource;
  readonly templates: TemplateRenderer;
  loaded: Loaded;
  /** Of its files, as they were when it was loaded. */
  version: string;
  /** Times that files which had replaced them could not be loaded, and when it is tried again. */
  failures: number;
  notBefore: number;
  loading: Promise<void> | undefined;
  /** Texts that are written or wait. */
  texts: number;
}

/** A model for the time of one request. */
export interface Lease extends Pick<Loaded, "lm" | "engine" | "fingerprint"> {
  /** As the request names it. */
  readonly name: string;
  /** The adapter that it names; null: none. */
  readonly adapter: string | null;
  /** Texts that are written at the same time. */
  readonly parallel: number;
  /** Writes conversations out: one for each model, so that none waits for the template of another. */
  readonly templates: TemplateRenderer;
  /** A second call does nothing. */
  release(): void;
}

/** What is told of a model or an adapter in the list. */
export interface ListedModel {
  readonly name: string;
  /** The model that an adapter is for; null: it is a model. */
  readonly parent: string | null;
  readonly created: number;
  readonly contextLength: number;
}

export interface ServedModels {
  list(): readonly ListedModel[];
  /** @throws ApiError for a name that is none. */
  lookUp(name: string): ListedModel;
  /**
   * A model for a request, which must release it.
   * @param name absent: the first one.
   * @param texts that the request has written.
   * @throws ApiError for a name that is none, or if too many texts wait.
   */
  take(name: string | undefined, texts: number): Lease;
  /** Texts that are written or wait, and the counts of the engine, of each model. */
  state(): Promise<readonly { readonly name: string; readonly texts: number; readonly counts: EngineCounts }[]>;
  /** Looks for files that were replaced. */
  refresh(): Promise<void>;
  close(): Promise<void>;
}

/** Milliseconds until files that could not be loaded are tried again, at first and at most. */
const firstWaitMs = 2000;
const longestWaitMs = 60_000;

const busy = (waiting: number, queue: number): ApiError =>
  new ApiError(429, `at most ${queue} texts may wait; got ${waiting} already; try again later`, {
    code: "queue_full",
    // A text takes seconds.
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
    return { lm, engine, fingerprint, created, uses: 0, replaced: false };
  } catch (error) {
    await lm.close();
    throw error;
  }
};

/**
 * Loads all models.
 * @param tell gets a line for people about a model that was loaded anew, or could not be.
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
        failures: 0,
        notBefore: 0,
      });
    } catch (error) {
      for (const { loaded } of all) close(loaded);
      await Promise.all(closing);
      throw error;
    }
  }
  const namesOf = ({ source, loaded }: Served): readonly string[] => [source.name, ...loaded.lm.adapters];
  const find = (name: string | undefined): { readonly served: Served; readonly adapter: string | null } => {
    for (const served of all) {
      const { source, loaded } = served;
      if (name === undefined || name === source.name || source.aliases.includes(name)) return { served, adapter: null };
      if (loaded.lm.adapters.includes(name)) return { served, adapter: name };
    }
    throw unknownModel(name ?? "", all.flatMap(namesOf));
  };
  const entryOf = ({ source, loaded: { lm, created } }: Served, adapter: string | null): ListedModel => ({
    ...{ name: adapter ?? source.name, parent: adapter === null ? null : source.name },
    ...{ created, contextLength: lm.config.contextLength },
  });
  const loadAnew = async (served: Served, version: string): Promise<void> => {
    const { source, loaded: before } = served;
    try {
      served.loaded = await open(source, sizes, version, speculate);
    } catch (error) {
      // Its files may still be written: it is tried again, later each time, and told of once.
      if (served.failures === 0)
        tell(`${source.name} was replaced, and cannot be loaded: ${error instanceof Error ? error.message : error}`);
      served.notBefore = performance.now() + Math.min(longestWaitMs, firstWaitMs * 2 ** served.failures++);
      return;
    }
    served.version = version;
    served.failures = 0;
    before.replaced = true;
    if (before.uses === 0) close(before);
    tell(`${source.name} was replaced, and loaded anew`);
  };

  return {
    list: () =>
      all.flatMap((served) => [
        entryOf(served, null),
        ...served.loaded.lm.adapters.map((name) => entryOf(served, name)),
      ]),
    lookUp(name) {
      const { served, adapter } = find(name);
      return entryOf(served, adapter);
    },
    take(name, texts) {
      const { served, adapter } = find(name);
      const waiting = Math.max(0, served.texts - parallel);
      const fits = served.texts + texts <= parallel + queue;
      // A request of more texts than there is ever room for is let in where none waits.
      const fitsNever = texts > parallel + queue;
      if (texts > 0 && !fits && !(fitsNever && waiting === 0)) throw busy(waiting, queue);
      const { loaded } = served;
      served.texts += texts;
      loaded.uses++;
      let isHeld = true;
      return {
        ...{ lm: loaded.lm, engine: loaded.engine, fingerprint: loaded.fingerprint },
        ...{ name: name ?? served.source.name, adapter, parallel, templates: served.templates },
        release() {
          if (!isHeld) return;
          isHeld = false;
          served.texts -= texts;
          loaded.uses--;
          if (loaded.replaced && loaded.uses === 0) close(loaded);
        },
      };
    },
    state: () =>
      Promise.all(
        all.map(async ({ source, loaded, texts }) => ({
          name: source.name,
          texts,
          counts: await loaded.engine.counts(),
        })),
      ),
    async refresh() {
      for (const served of all) {
        if (served.loading !== undefined) continue;
        const version = await served.source.version();
        // A folder that is not there has nothing to load: the model stays.
        if (isClosed || version === undefined || version === served.version) continue;
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
