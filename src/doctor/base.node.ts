/** The model that an adapter was trained on: found and read as loading does it. */
import { CheckpointError } from "../core/errors/errors.ts";
import { modelLayout } from "../models/model.ts";
import { openWhole, unlessDamaged } from "../pretrained/adapter/base/find.node.ts";
import { openBase } from "../pretrained/adapter/base/open.node.ts";
import type { OpenedAdapter } from "../pretrained/adapter/load.ts";
import { basePath, openAdapter } from "../pretrained/adapter/open.node.ts";
import { isHubName, keptFolder } from "../pretrained/files/hub.node.ts";
import { failed, ok, skipped, type Verdict } from "./check.ts";

/** What to do where the base cannot be used. @param hint of the error. */
const wayToBase = (hint = ""): string => {
  const model = /^base (hf:\S+)/u.exec(hint)?.[1] ?? "MODEL";
  return `put the model that the adapter was trained on in that place again, or name a copy of it where the adapter is loaded: --base ${model}`;
};

const rightBase = (place: string): Verdict => ok(`${place}: the weights that the adapter was trained on (SHA-256)`);

/** Finds the base as loading does, and reads all of it. @param base as in `BaseOptions`. */
const readBase = async (adapter: OpenedAdapter, base?: string): Promise<Verdict> => {
  const opened = await openBase(adapter, { base });
  const { config, vocabSize, weights } = opened;
  try {
    await weights.read(modelLayout(config, vocabSize), { place: () => {} });
    if (adapter.baseHash !== null) return rightBase(opened.servedFrom());
    // Nothing but the shapes tells that it is the right one.
    await adapter.read(config);
    return skipped(`${opened.servedFrom()}: the adapter fits, and does not say which weights it was trained on`);
  } finally {
    await weights.close();
  }
};

/** A base on the hub, which is not asked: the run's copy of it, or the one that was fetched. */
const hubVerdict = async (adapter: OpenedAdapter, named: string): Promise<Verdict> => {
  const found = await openWhole(adapter, named);
  await found?.opened.weights.close();
  if (found !== undefined) return rightBase(found.place);
  const folder = await keptFolder(named);
  return folder === undefined
    ? skipped(`${named} is not on this disk: whoever loads the adapter fetches it`)
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
      return skipped(`${adapter.where} does not name the model that it is for: loading it takes --base MODEL`);
    return failed(`${where}: ${must}${got === undefined ? "" : `; got ${got}`}`, wayToBase(hint));
  }
};

/**
 * The check of the model of adapters that were trained on the same one.
 * @param places of the adapters; the first that can be opened tells.
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
