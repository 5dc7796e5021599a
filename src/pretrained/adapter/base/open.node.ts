/** Opens the base model of an adapter and checks that the adapter was trained on this model. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError } from "../../../core/errors/errors.ts";
import { quotePath } from "../../../core/text/shell-word.ts";
import type { OpenedPretrained } from "../../files/directory.node.ts";
import { modelPlace, noticeUnchecked, openPretrained } from "../../open.node.ts";
import { basePath } from "../open.node.ts";
import type { OpenedAdapter } from "../opened.ts";
import { differsFromKept } from "./as-trained.node.ts";
import { isBase, notBase, trainedOn } from "./check.ts";
import { placeOfBase, placesOfBase, unlessDamaged } from "./find.node.ts";
import { keptBaseOf } from "./places.node.ts";

/** Options that choose the base model of an adapter. */
export interface BaseOptions {
  /** The base model. Default: the model that the adapter names. */
  readonly base?: string | undefined;
  /** Whether the base model's weights must be the weights that the adapter was trained on. Default: true. */
  readonly baseCheck?: boolean | undefined;
  /** Gets one line for the user. If it returns a promise, the promise is awaited. */
  readonly onNotice?: ((line: string) => void | Promise<void>) | undefined;
  /** Gets the number of bytes fetched so far and the total. */
  readonly onProgress?: ((bytes: number, all: number) => void) | undefined;
}

/**
 * Place of an adapter's base model, quoted for a command line. If the place is unknown, returns `otherwise`. @param
 * tried as in `placeOfBase`.
 */
const wordFor = async (adapter: OpenedAdapter, otherwise: string, tried?: string): Promise<string> => {
  const found = await placeOfBase(adapter, tried);
  return found === undefined ? otherwise : quotePath(found);
};

/** Hint that names an adapter's base model, for an error about a different model. */
export const wayToBase = (adapter: OpenedAdapter): Promise<string> => wordFor(adapter, trainedOn);

/** Opens a model that must be the adapter's base model. @param way returns the hint for the error. */
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

/**
 * Compares the configuration and tokenizer of `opened` with the base model that the adapter's run keeps. If they
 * differ, the function closes `opened` and throws.
 */
const checkAsTrained = async ({ where, baseHash }: OpenedAdapter, opened: OpenedPretrained): Promise<void> => {
  if (baseHash === null || !(await differsFromKept(opened, join(where, ".."), baseHash))) return;
  await opened.weights.close();
  throw new CheckpointError({
    where: opened.where,
    must: "the model must have the configuration and tokenizer that the adapter was trained with",
    got: "a different configuration or tokenizer",
  });
};

/** The opened base model of an adapter. */
export interface OpenedBase extends OpenedPretrained {
  /** Place from which the weights are read. */
  readonly servedFrom: () => string;
}

/** Adds the hint `base MODEL` to an error about a base model that the caller did not name. */
const withBaseHint = (error: CheckpointError): CheckpointError => {
  const { hint } = error.details;
  if (hint?.startsWith("base ")) return error;
  return new CheckpointError({
    ...error.details,
    hint: hint === undefined ? "base MODEL" : `base MODEL, or ${hint}`,
    cause: error,
  });
};

/** Says in `error` that the folder in which the adapter's run keeps its base model was of no use. */
const withKeptFault = async (
  error: CheckpointError,
  { where, baseHash }: Pick<OpenedAdapter, "where" | "baseHash">,
): Promise<CheckpointError> => {
  const kept = await keptBaseOf(join(where, ".."));
  if (baseHash === null || !existsSync(kept)) return error;
  const { got, ...details } = error.details;
  return new CheckpointError({ ...details, got: `${got}, and wrong weights in ${kept}`, cause: error });
};

/**
 * Opens the first of the remaining places that can be opened, and reports the error at the previous place. Returns
 * undefined if no place is left.
 * @param fault the error at the previous place.
 */
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
    await onNotice?.(`${new CheckpointError(details).message}; using ${place} instead`);
    return opened;
  }
};

/**
 * A base model that switches to the next place if its weights are damaged. Damage is found only while the weights are
 * read, because the weights are compared with the manifest then.
 */
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
 * Opens the base model of an adapter. The model that the adapter names may be missing, damaged or changed. The function
 * then searches for the right weights in other places on this disk, and `onNotice` gets a line. If the caller names a
 * base model, the function uses no other model.
 * @throws CheckpointError for a model with other weights, or if no model can be opened.
 */
export const openBase = async (adapter: OpenedAdapter, options: BaseOptions): Promise<OpenedBase> => {
  const { base, baseCheck = true, onNotice } = options;
  if (base !== undefined) {
    const opened = await openChecked(
      adapter,
      await modelPlace(base),
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
    if (opened === undefined) throw withBaseHint(await withKeptFault(error, searched));
    return withOthers(opened, places, options);
  }
};
