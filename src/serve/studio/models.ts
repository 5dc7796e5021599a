/** Models that can write text: checkpoints of runs, and models named at start. At most two models are loaded. */
import { basename, join } from "node:path";
import type { BackendChoice } from "../../backend/choices.node.ts";
import type { HeadPlace } from "../../inside/heads.ts";
import { hasCheckpoint } from "../../io/checkpoint-place.node.ts";
import { readManifest } from "../../io/read-manifest.node.ts";
import { isAdapterFolder } from "../../pretrained/adapter/place.node.ts";
import { filesVersion } from "../../pretrained/files/files-version.node.ts";
import { isHubName } from "../../pretrained/files/hub-name.ts";
import { checkpointOf } from "../../runs/begin/initial.node.ts";
import { folderNames, keptName } from "../../runs/folder-names.ts";
import type { ListedRun } from "../../runs/list/runs.node.ts";
import { keptSteps } from "../../runs/write/kept-checkpoints.node.ts";
import { loadInWorker, type WorkerModel } from "../../worker/model.node.ts";
import { HttpError } from "../http/http-error.ts";
import { createKnownTemplates } from "./chat-templates.ts";
import { inRequest } from "./inside/field.ts";
import type { ModelListAnswer } from "./protocol.ts";
import type { RunShelf } from "./runs.ts";

type ListedModel = ModelListAnswer["models"][number];

export interface Models {
  list(): Promise<ModelListAnswer>;
  /**
   * The place (path or `hf:` name) of a model. @param field name of the request field with the key, for errors. @throws
   * HttpError for a key that is not in the list.
   */
  placeOf(key: string, field?: string): Promise<string>;
  /**
   * Loads a model, and switches off the heads `headsOff` for this task. If the files of a loaded model have changed,
   * the model is loaded again. Only one task at a time may use the model.
   * @throws ConfigError for a head that the model does not have, or the reason of `signal` if it is aborted.
   */
  load(place: string, work: ModelWork): Promise<WorkerModel>;
  /** Closes all models. */
  close(): Promise<void>;
}

export interface ModelWork {
  readonly headsOff: readonly HeadPlace[];
  readonly signal: AbortSignal;
}

export interface ModelsOptions {
  readonly shelf: RunShelf;
  /** Models that were named at start. */
  readonly named: readonly string[];
  readonly backend: BackendChoice | undefined;
  readonly threads: number | undefined;
}

const mostLoaded = 2;

interface Loaded {
  readonly place: string;
  readonly model: WorkerModel;
  /** Version of the model's files. The version changes when the files are replaced. */
  readonly files: string;
}

const missing = (key: string, field: string): HttpError =>
  new HttpError(
    404,
    `${field}: must be the key of a model in the list; got ${JSON.stringify(key.slice(0, 100))}`,
    field,
  );

/** The folder of a run's checkpoint. A key names the checkpoint. Undefined if the name is unknown. */
const folderOf = (weights: string): string | undefined => {
  if (weights === "best") return folderNames.best;
  if (weights === "last") return folderNames.checkpoint;
  if (weights === "averaged") return folderNames.averaged;
  return /^\d{1,15}$/u.test(weights) ? keptName(Number(weights)) : undefined;
};

/** Short name of a model that was named by its path. */
const shortName = (place: string): string => (isHubName(place) ? place.slice("hf:".length) : basename(place) || place);

/** The place of a model that was named at start. For a run, the place is the folder with the run's weights. */
const placeOfNamed = async (named: string): Promise<string> =>
  isHubName(named) ? named : checkpointOf(named).catch(() => named);

/** Whether there is an adapter at `place`. False if `place` cannot be read. */
const isAdapterAt = async (place: string): Promise<boolean> =>
  !isHubName(place) && isAdapterFolder(place).catch(() => false);

export const openModels = ({ shelf, named, backend, threads }: ModelsOptions): Models => {
  /** Loaded models. The most recently used model comes last. */
  let loaded: readonly Loaded[] = [];
  const templates = createKnownTemplates();

  const modelsOfRun = async ({ path, name, config }: ListedRun): Promise<readonly ListedModel[]> => {
    const isAdapter = config.lora !== undefined;
    const found = await Promise.all(
      ["best", "last", "averaged"].map(async (weights): Promise<readonly ListedModel[]> => {
        const folder = join(path, folderOf(weights) ?? "");
        // A folder that cannot be read must not hide the other models.
        if (!(await hasCheckpoint(folder).catch(() => false))) return [];
        const step = (await readManifest(folder).catch(() => null))?.run?.step ?? null;
        const hasChatTemplate = await templates.has(folder).catch(() => null);
        return [{ key: `runs/${name}/${weights}`, name, weights, step, isAdapter, hasChatTemplate }];
      }),
    );
    const kept = (await keptSteps(path).catch(() => [])).map(async (step): Promise<ListedModel> => {
      const hasChatTemplate = await templates.has(join(path, keptName(step))).catch(() => null);
      return { key: `runs/${name}/${step}`, name, weights: String(step), step, isAdapter, hasChatTemplate };
    });
    return [...found.flat(), ...(await Promise.all(kept))];
  };

  const close = async (one: Loaded): Promise<void> => {
    loaded = loaded.filter((other) => other !== one);
    await one.model.close();
  };

  const loadAt = async (place: string): Promise<WorkerModel> => {
    const files = (await filesVersion(place)) ?? "";
    const known = loaded.find((one) => one.place === place);
    if (known !== undefined && known.files === files) {
      loaded = [...loaded.filter((one) => one !== known), known];
      return known.model;
    }
    if (known !== undefined) await close(known);
    // Close the oldest model before the next model is loaded, to keep memory low.
    const [oldest] = loaded;
    if (loaded.length >= mostLoaded && oldest !== undefined) await close(oldest);
    // Use the same settings as the commands, so that studio and commands give the same numbers.
    const named = backend === undefined ? {} : { backend };
    const model = await loadInWorker(place, { ...named, threads, dtype: "auto" });
    loaded = [...loaded, { place, model, files }];
    templates.note(place, files, model.chatTemplate !== null);
    return model;
  };

  let last: Promise<unknown> = Promise.resolve();
  /**
   * Loads models one after another. If a client disconnects while its model is loaded, the next model still waits for
   * this model.
   */
  const loadInTurn = (place: string): Promise<WorkerModel> => {
    const model = last.then(() => loadAt(place));
    last = model.catch(() => {});
    return model;
  };

  return {
    async list() {
      const others = named.map(async (given) => {
        const place = await placeOfNamed(given);
        return {
          ...{ key: `models/${given}`, name: shortName(given), weights: null, step: null },
          isAdapter: await isAdapterAt(place),
          hasChatTemplate: await templates.has(place).catch(() => null),
        };
      });
      const models: ListedModel[] = await Promise.all(others);
      for (const run of await shelf.runs()) models.push(...(await modelsOfRun(run)));
      return { models };
    },
    async placeOf(key, field = "model") {
      const given = named.find((place) => key === `models/${place}`);
      // If a run was named at start, use its best weights.
      if (given !== undefined) return isHubName(given) ? given : checkpointOf(given);
      const [, name, weights = ""] = /^runs\/([^/]+)\/([^/]+)$/u.exec(key) ?? [];
      const folder = folderOf(weights);
      if (name === undefined || folder === undefined) throw missing(key, field);
      const place = join((await shelf.find(name)).path, folder);
      if (!(await hasCheckpoint(place))) throw missing(key, field);
      return place;
    },
    async load(place, { headsOff, signal }) {
      const model = await loadInTurn(place);
      // If the client has disconnected, its turn is already over. The next task may then use the model with other heads
      // switched off, so do not switch heads here.
      signal.throwIfAborted();
      await model.switchOff(headsOff).catch((error: unknown) => {
        throw inRequest(error, { heads: "headsOff" });
      });
      return model;
    },
    async close() {
      await Promise.all(loaded.map(close));
    },
  };
};
