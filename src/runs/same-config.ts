/** Decides whether two configurations belong to the same run. */
import { isRecord } from "../core/checks/is-record.ts";
import { CheckpointError } from "../core/errors/errors.ts";
import { hashInMemory } from "../io/manifest-in-memory.ts";
import { defaultTokenizer } from "../tokenizer/config.ts";
import { folderNames } from "./folder-names.ts";

/**
 * A configuration as JSON, without two fields. `onNonfinite` may change when a run is resumed. The default tokenizer
 * may be missing in a configuration.
 */
export const fixedConfig = (config: unknown): string => {
  if (!isRecord(config) || !isRecord(config.train)) return JSON.stringify(config);
  const { tokenizer, train, ...others } = config;
  const isDefault = JSON.stringify(tokenizer) === JSON.stringify(defaultTokenizer);
  return JSON.stringify({
    ...(isDefault ? {} : { tokenizer }),
    ...others,
    train: { ...train, onNonfinite: undefined },
  });
};

/** Whether two configurations belong to the same run. */
export const isSame = (one: unknown, other: unknown): boolean => fixedConfig(one) === fixedConfig(other);

/** @throws CheckpointError if the configuration differs from the run's description. */
export const checkSame = (where: string, one: unknown, description: unknown): void => {
  if (isSame(one, description)) return;
  throw new CheckpointError({
    where,
    must: `the checkpoint's config must equal the config in ${folderNames.description}`,
    got: "another one",
    hint: "undoing the change",
  });
};

/** SHA-256 of a configuration, computed with Web Crypto. Null if Web Crypto is not available. */
export const configHashInMemory = (config: unknown): Promise<string | null> =>
  hashInMemory(new TextEncoder().encode(fixedConfig(config)));
