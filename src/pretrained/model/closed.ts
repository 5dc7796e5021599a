/** Remembers closed models. Work on a closed model throws an error about the model, not about the backend's memory. */
import { ConfigError } from "../../core/errors/errors.ts";
import type { Model } from "../../models/model.ts";

const closedModels = new WeakSet<Model>();
/** Models that share the memory of another model. */
const owners = new WeakMap<Model, Model>();

/** Marks a model as closed. From now on, work on it fails. */
export const markClosed = (model: Model): void => {
  closedModels.add(model);
};

/** Records that `view` shares the memory of `owner`, and that closing `owner` also closes `view`. */
export const markView = (view: Model, owner: Model): void => {
  owners.set(view, owner);
};

/** Whether the model was closed, or the model that it shares memory with. */
export const isClosed = (model: Model): boolean => {
  const owner = owners.get(model);
  return closedModels.has(model) || (owner !== undefined && isClosed(owner));
};

/** Error for work on a closed model. */
export const closedError = (where: string, cause?: unknown): ConfigError =>
  new ConfigError({
    ...{ where, must: "the model must be open", got: "a closed model" },
    ...(cause === undefined ? {} : { cause }),
  });

/**
 * Executes `work`, which computes with the model.
 * @param where the called function, for the error.
 * @throws ConfigError if the model was closed before or during `work`.
 */
export const whileOpen = async <T>(where: string, model: Model, work: () => Promise<T>): Promise<T> => {
  if (isClosed(model)) throw closedError(where);
  try {
    return await work();
  } catch (error) {
    throw isClosed(model) ? closedError(where, error) : error;
  }
};
