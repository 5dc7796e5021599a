/** Opening the model that an adapter is for, and no other. */
import { join } from "node:path";
import { CheckpointError } from "../../../core/errors/errors.ts";
import { quotePath } from "../../../core/text/shell-word.ts";
import type { OpenedPretrained } from "../../files/directory.node.ts";
import { noticeUnchecked, openPretrained } from "../../open.node.ts";
import type { OpenedAdapter } from "../load.ts";
import { basePath } from "../open.node.ts";
import { differsFromKept } from "./as-trained.node.ts";
import { isBase, notBase, trainedOn } from "./check.ts";
import { placeOfBase, placesOfBase, unlessDamaged } from "./find.node.ts";

/** Which model an adapter is put on. */
export interface BaseOptions {
  /** The model. Default: the one that the adapter names. */
  readonly base?: string | undefined;
  /** Whether its weights must be those that the adapter was trained on. Default true. */
  readonly baseCheck?: boolean | undefined;
  /** Gets one line for the user. A promise is waited for. */
  readonly onNotice?: ((line: string) => void | Promise<void>) | undefined;
  /** Gets the bytes fetched so far, and in all. */
  readonly onProgress?: ((bytes: number, all: number) => void) | undefined;
}

/** The place of an adapter's base as a word of a command; `otherwise` where it is unknown. @param tried as in `placeOfBase`. */
const wordFor = async (adapter: OpenedAdapter, otherwise: string, tried?: string): Promise<string> => {
  const found = await placeOfBase(adapter, tried);
  return found === undefined ? otherwise : quotePath(found);
};

/** Says where the base of an adapter is that is put on another model. */
export const wayToBase = (adapter: OpenedAdapter): Promise<string> => wordFor(adapter, trainedOn);

/** Opens a model that must be the adapter's base. @param way to the base, for the error. */
const openChecked = async (
  adapter: OpenedAdapter,
  path: string,
  { baseCheck = true, onNotice, onProgress }: BaseOptions,
  way: () => Promise<string>,
): Promise<OpenedPretrained> => {
  const opened = await openPretrained(path, { onNotice, onDownload: onProgress });
  try {
    const compared = baseCheck && adapter.baseHash !== null;
    if (compared && !(await isBase(opened, adapter))) throw notBase(path, adapter, await way());
    await noticeUnchecked(opened, path, onNotice);
    return opened;
  } catch (error) {
    await opened.weights.close();
    throw error;
  }
};

/** Closes a model and throws, if the base that the adapter's run keeps has another configuration or tokenizer. */
const checkAsTrained = async ({ where, baseHash }: OpenedAdapter, opened: OpenedPretrained): Promise<void> => {
  if (baseHash === null || !(await differsFromKept(opened, join(where, ".."), baseHash))) return;
  await opened.weights.close();
  throw new CheckpointError({
    where: opened.where,
    must: "the model must be as it was when the adapter was trained",
    got: "another configuration or tokenizer",
  });
};

/** The model of an adapter, open. */
export interface OpenedBase extends OpenedPretrained {
  /** The place that its weights were read from. */
  readonly servedFrom: () => string;
}

/** An error about a base that nobody named for this call, with the way to name one. */
const withBaseHint = (error: CheckpointError): CheckpointError => {
  const { hint } = error.details;
  if (hint?.startsWith("base ")) return error;
  return new CheckpointError({
    ...error.details,
    hint: hint === undefined ? "base MODEL" : `base MODEL, or ${hint}`,
    cause: error,
  });
};

/** Opens the next place that serves, and says why; undefined: there is none. @param fault of the one before. */
const openNext = async (
  places: AsyncIterator<string>,
  fault: CheckpointError,
  onNotice: BaseOptions["onNotice"],
): Promise<OpenedPretrained | undefined> => {
  for (;;) {
    const { value: place, done } = await places.next();
    if (done === true) return undefined;
    const opened = await openPretrained(place).catch(unlessDamaged);
    if (opened === undefined) continue;
    const { hint: _, ...details } = fault.details;
    await onNotice?.(`${new CheckpointError(details).message}; ${place} serves instead`);
    return opened;
  }
};

/** A base whose weights are the next place's, where they turn out to be damaged: a manifest does not tell before they are read. */
const withOthers = (first: OpenedPretrained, places: AsyncIterator<string>, { onNotice }: BaseOptions): OpenedBase => {
  let serving = first;
  return {
    ...first,
    servedFrom: () => serving.where,
    weights: {
      ...first.weights,
      async read(...asked) {
        let fault: CheckpointError | undefined;
        for (;;) {
          const error: unknown = await serving.weights.read(...asked).catch((thrown: unknown) => thrown);
          if (error === undefined) return;
          if (!(error instanceof CheckpointError)) throw error;
          fault ??= error;
          const next = await openNext(places, error, onNotice);
          if (next === undefined) throw withBaseHint(fault);
          await serving.weights.close();
          serving = next;
        }
      },
      close: () => serving.weights.close(),
    },
  };
};

/**
 * Opens the model of an adapter. Where the one that the adapter names is gone, damaged or has other weights by now, the
 * weights that the adapter was trained on serve from another place, and a line says so; a model that the caller names is
 * never replaced.
 * @throws CheckpointError for a model with other weights, or none that can be opened.
 */
export const openBase = async (adapter: OpenedAdapter, options: BaseOptions): Promise<OpenedBase> => {
  const { base, baseCheck = true, onNotice } = options;
  if (base !== undefined) {
    const opened = await openChecked(
      adapter,
      base,
      options,
      async () => `base ${await wordFor(adapter, "MODEL", base)}`,
    );
    return { ...opened, servedFrom: () => opened.where };
  }
  const named = await basePath(adapter).catch((error: unknown) => error);
  const searched = baseCheck ? adapter : { ...adapter, baseHash: null };
  const places = placesOfBase(searched, typeof named === "string" ? named : undefined);
  try {
    if (typeof named !== "string") throw named;
    const opened = await openChecked(adapter, named, options, async () => "base MODEL");
    if (baseCheck) await checkAsTrained(adapter, opened);
    return withOthers(opened, places, options);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    const opened = await openNext(places, error, onNotice);
    if (opened === undefined) throw withBaseHint(error);
    return withOthers(opened, places, options);
  }
};
