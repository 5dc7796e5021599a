/** Finds the architecture under which a configuration is saved. */
import { ConfigError } from "../../core/errors/errors.ts";
import type { ModelConfig } from "../config.ts";
import type { Architecture } from "./architecture.ts";
import { architectures } from "./list.ts";
import { inWords, misfitsOf } from "./traits.ts";

/** Maximum number of alternatives that an error names. */
const mostNearest = 2;

/**
 * The changes that make `config` fit the nearest architectures. The nearest architectures reject the fewest traits of
 * `config`.
 */
const hintFor = (config: ModelConfig): string | undefined => {
  const all = architectures.map(({ name, takes }) => ({ name, misfits: misfitsOf(takes, config) }));
  const fewest = Math.min(...all.map(({ misfits }) => misfits.length));
  const ways = all.flatMap(({ name, misfits }) => {
    const changes = misfits.flatMap(({ instead }) => (instead === undefined ? [] : [instead]));
    return misfits.length === fewest && changes.length === fewest ? [`${changes.join(" and ")}, for ${name}`] : [];
  });
  return ways.length === 0 ? undefined : ways.slice(0, mostNearest).join("; or ");
};

/**
 * Returns the architecture under which a model with this configuration is saved.
 * @throws ConfigError if no architecture fits, because such a model cannot be saved.
 */
export const architectureOf = (config: ModelConfig, where = "model"): Architecture => {
  if (config.mask !== "causal") {
    throw new ConfigError({
      where: `${where}.mask`,
      must: "must be causal, since only causal models can be saved",
      got: config.mask,
    });
  }
  const found = architectures.find(({ takes }) => misfitsOf(takes, config).length === 0);
  if (found !== undefined) return found;
  const hint = hintFor(config);
  throw new ConfigError({
    where,
    must: "must match an architecture that can be saved",
    got: inWords(config),
    ...(hint === undefined ? {} : { hint }),
  });
};
