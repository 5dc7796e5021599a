/** Models that a server is to have, as they are named on the command line. */
import { basename, dirname, join, resolve } from "node:path";
import { ConfigError } from "../../core/errors/errors.ts";
import { filesVersion } from "../../pretrained/files/files-version.node.ts";
import { isHubName } from "../../pretrained/files/hub.node.ts";
import { folderNames } from "../../runs/folder-names.ts";
import type { ModelSource } from "../../serve/openai/served-models.ts";
import { loadInWorker, type WorkerLoadOptions } from "../../worker/model.node.ts";
import { inModelFlags, loadNamed, type ModelParts, modelDirectory } from "./checkpoint-path.ts";

/** What belongs to the models besides their places. */
export interface ServedParts extends Omit<ModelParts, "adapter"> {
  /** The id of the only model. Default: from its place. */
  readonly name?: string | undefined;
  /** Adapters of the only model: places by ids. */
  readonly adapters: Readonly<Record<string, string>>;
}

/** A model's id: the name of a run's folder, of a directory or of a file. */
export const nameOfPlace = (place: string): string => {
  if (isHubName(place)) return place.slice("hf:".length);
  const path = resolve(place);
  const own = basename(path);
  const isPart = own === folderNames.best || own === folderNames.checkpoint;
  return isPart ? basename(dirname(path)) : own.replace(/\.gguf$/iu, "");
};

const sourceOf = (
  place: string,
  { name = nameOfPlace(place), adapters, ...parts }: ServedParts,
  running: WorkerLoadOptions,
  tell: (line: string) => void,
): ModelSource => {
  const places = Object.entries(adapters);
  const directories = async (): Promise<readonly string[]> => {
    // The weights that a command takes, which a run may have others of later.
    const own =
      parts.weights === undefined
        ? await modelDirectory(place)
        : join(place, parts.weights === "best" ? folderNames.best : folderNames.checkpoint);
    return [own, ...(await Promise.all(places.map(([, one]) => modelDirectory(one))))];
  };
  return {
    name,
    aliases: [place],
    async load() {
      if (places.length === 0) {
        const { lm, notices } = await loadNamed(place, parts, running);
        for (const notice of notices) tell(notice);
        return lm;
      }
      const [own = place, ...others] = await directories();
      const named = Object.fromEntries(places.map(([id], i) => [id, others[i] as string]));
      const { baseCheck = true } = parts;
      const lm = await loadInWorker(own, { ...running, baseCheck, adapters: named, onNotice: tell }).catch((error) => {
        throw inModelFlags(error);
      });
      // A request that names the model itself is for the model without them.
      await lm.useAdapter(null);
      return lm;
    },
    async version() {
      const found = await directories().catch(() => []);
      const versions = await Promise.all(found.map(filesVersion));
      return found.length === 0 || versions.includes(undefined) ? undefined : versions.join(" | ");
    },
  };
};

/**
 * @param tell gets lines for people: which weights were taken, for example.
 * @throws ConfigError for two models of one name, or parts that belong to one model where there are several.
 */
export const servedSources = (
  places: readonly string[],
  parts: ServedParts,
  running: WorkerLoadOptions,
  tell: (line: string) => void,
): readonly ModelSource[] => {
  const forOne = { "--name": parts.name, "--adapter": Object.keys(parts.adapters)[0], "--base": parts.base };
  for (const [flag, value] of Object.entries(forOne)) {
    if (value === undefined || places.length === 1) continue;
    throw new ConfigError({ where: flag, must: "works only with a single model", got: `${places.length} models` });
  }
  const sources = places.map((place) => sourceOf(place, parts, running, tell));
  const names = [...sources.map(({ name }) => name), ...Object.keys(parts.adapters)];
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new ConfigError({
      where: "serve",
      must: "models must have different names",
      got: `${twice} twice`,
      hint: "one server for each, with --name",
    });
  }
  return sources;
};
