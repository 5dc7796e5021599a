/** Models that were closed: work on one fails with one sentence, not with an error of its backend's memory. */
import { ConfigError } from "../../core/errors/errors.ts";
import type { Model } from "../../models/model.ts";

const closedModels = new WeakSet<Model>();
/** Models that compute with the memory of another. */
const owners = new WeakMap<Model, Model>();

/** Work on the model fails from now on. */
export const markClosed = (model: Model): void => {
  closedModels.add(model);
};

/** `view` has no memory of its own, but that of `owner`: it is closed with it. */
export const markView = (view: Model, owner: Model): void => {
  owners.set(view, owner);
};

/** Whether the model, or the one whose memory it computes with, was closed. */
export const isClosed = (model: Model): boolean => {
  const owner = owners.get(model);
  return closedModels.has(model) || (owner !== undefined && isClosed(owner));
};

/** The error of work on a closed model. */
export const closedError = (where: string, cause?: unknown): ConfigError =>
  new ConfigError({
    ...{ where, must: "the model must be open", got: "one that was closed" },
    ...(cause === undefined ? {} : { cause }),
  });

/**
 * Runs `work`, which computes with the model.
 * @param where the called function, for the error.
 * @throws ConfigError if the model was closed before, or while `work` waited.
 */
export const whileOpen = async <T>(where: string, model: Model, work: () => Promise<T>): Promise<T> => {
  if (isClosed(model)) throw closedError(where);
  try {
    return await work();
  } catch (error) {
    throw isClosed(model) ? closedError(where, error) : error;
  }
};
