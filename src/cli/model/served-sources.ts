/** Models for a server, from the command line. */
import { basename, dirname, join, resolve } from "node:path";
import { ConfigError } from "../../core/errors/errors.ts";
import { filesVersion } from "../../pretrained/files/files-version.node.ts";
import { isHubName } from "../../pretrained/files/hub-name.ts";
import type { ModelSource } from "../../serve/openai/served-models.ts";
import { loadInWorker, type WorkerLoadOptions } from "../../worker/model.node.ts";
import {
  adapterDirectory,
  inModelFlags,
  loadNamed,
  type ModelParts,
  modelDirectory,
  weightsDirectory,
  weightsFolders,
} from "./checkpoint-path.ts";

/** Options that say how to load the models from their paths. */
export interface ServedParts extends Omit<ModelParts, "adapter"> {
  /** Id of the only model. Default: derived from the model's path. */
  readonly name?: string | undefined;
  /** Adapters of the only model: the key is the id, the value is the path. */
  readonly adapters: Readonly<Record<string, string>>;
}

/** Id of a model: the name of its run's folder, its directory or its file. */
export const nameOfPlace = (place: string): string => {
  if (isHubName(place)) return place.slice("hf:".length);
  const path = resolve(place);
  const own = basename(path);
  const isPart = Object.values(weightsFolders).includes(own);
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
    // The path is found anew at each call, because a run may have other best weights later.
    const own = parts.weights === undefined ? await modelDirectory(place) : join(place, weightsFolders[parts.weights]);
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
      const own = await weightsDirectory(place, parts.weights, tell);
      const named: Record<string, string> = {};
      for (const [id, one] of places) named[id] = await adapterDirectory(one, tell);
      const { baseCheck = true } = parts;
      const lm = await loadInWorker(own, { ...running, baseCheck, adapters: named, onNotice: tell }).catch((error) => {
        throw inModelFlags(error);
      });
      // A request that names the model, not an adapter, uses the model without adapters.
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
 * Checks the models on the command line, and describes how to load each model.
 * @param tell gets notices for the user, for example which weights were chosen.
 * @throws ConfigError for two models with the same name, or if there are several models and an option is allowed only
 * for a single model.
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
