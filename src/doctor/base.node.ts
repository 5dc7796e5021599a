/**
 * Checks an adapter's base model. The check finds and reads the base model in the same way as the code that loads the
 * adapter.
 */
import { CheckpointError } from "../core/errors/errors.ts";
import { modelLayout } from "../models/model.ts";
import { openWhole, unlessDamaged } from "../pretrained/adapter/base/find.node.ts";
import { openBase } from "../pretrained/adapter/base/open.node.ts";
import { basePath, openAdapter } from "../pretrained/adapter/open.node.ts";
import type { OpenedAdapter } from "../pretrained/adapter/opened.ts";
import { keptFolder } from "../pretrained/files/hub.node.ts";
import { isHubName } from "../pretrained/files/hub-name.ts";
import { failed, ok, skipped, type Verdict } from "./check.ts";

/** Advice for a base model that cannot be used. @param hint hint of the error about this model. */
const wayToBase = (hint = ""): string => {
  const model = /^base (hf:\S+)/u.exec(hint)?.[1] ?? "MODEL";
  return `move the adapter's base model back to this path, or name a copy of the base model when you load the adapter: --base ${model}`;
};

const rightBase = (place: string): Verdict => ok(`${place}: has the weights that the adapter was trained on (SHA-256)`);

/**
 * Finds the base model in the same way as the code that loads an adapter, and reads all of its weights.
 * @param base as in `BaseOptions`.
 */
const readBase = async (adapter: OpenedAdapter, base?: string): Promise<Verdict> => {
  const opened = await openBase(adapter, { base });
  const { config, vocabSize, weights } = opened;
  try {
    await weights.read(modelLayout(config, vocabSize), { place: () => {} });
    if (adapter.baseHash !== null) return rightBase(opened.servedFrom());
    // The adapter has no checksum of its base model, so only the shapes can be checked.
    await adapter.read(config);
    return skipped(
      `${opened.servedFrom()}: the adapter has the right shapes, but does not say which weights it was trained on`,
    );
  } finally {
    await weights.close();
  }
};

/**
 * Checks a base model on the hub without network access. The check reads the copy in the run's folder, or an earlier
 * download.
 */
const hubVerdict = async (adapter: OpenedAdapter, named: string): Promise<Verdict> => {
  const found = await openWhole(adapter, named);
  await found?.opened.weights.close();
  if (found !== undefined) return rightBase(found.place);
  const folder = await keptFolder(named);
  return folder === undefined
    ? skipped(`${named} is not on this disk; loading the adapter downloads it`)
    : readBase(adapter, folder);
};

const verdictOf = async (adapter: OpenedAdapter): Promise<Verdict> => {
  try {
    const named = await basePath(adapter).catch(unlessDamaged);
    return await (named !== undefined && isHubName(named) ? hubVerdict(adapter, named) : readBase(adapter));
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    const { where, must, got, hint } = error.details;
    if (adapter.peft.base === null && adapter.baseHash === null)
      return skipped(`${adapter.where} does not name its base model; to load it, add --base MODEL`);
    return failed(`${where}: ${must}${got === undefined ? "" : `; got ${got}`}`, wayToBase(hint));
  }
};

/**
 * Checks the base model of several adapters. All adapters were trained on the same base model.
 * @param places paths of the adapters; the first adapter that can be opened is used.
 */
export const baseVerdict = async (places: readonly string[]): Promise<Verdict> => {
  for (const place of places) {
    const adapter = await openAdapter(place).catch(unlessDamaged);
    if (adapter === undefined) continue;
    try {
      return await verdictOf(adapter);
    } finally {
      await adapter.source.close();
    }
  }
  return skipped("no adapter can be opened");
};
