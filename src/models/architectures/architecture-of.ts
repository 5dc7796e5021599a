/** The architecture of a configuration. */
import { ConfigError } from "../../core/errors/errors.ts";
import type { ModelConfig } from "../config.ts";
import type { Architecture } from "./architecture.ts";
import { architectures } from "./list.ts";
import { inWords, misfitsOf } from "./traits.ts";

/** Most architectures that a refusal names changes for. */
const mostNearest = 2;

/** What the nearest architectures have instead: those that take all but the fewest traits. */
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
 * The architecture that such a model is saved as.
 * @throws ConfigError where there is none, so that a checkpoint could not be written.
 */
export const architectureOf = (config: ModelConfig, where = "model"): Architecture => {
  if (config.mask !== "causal") {
    throw new ConfigError({
      where: `${where}.mask`,
      must: "must be causal for a model that is saved",
      got: config.mask,
    });
  }
  const found = architectures.find(({ takes }) => misfitsOf(takes, config).length === 0);
  if (found !== undefined) return found;
  const hint = hintFor(config);
  throw new ConfigError({
    where,
    must: "must have the shape of an architecture that checkpoints are written for",
    got: inWords(config),
    ...(hint === undefined ? {} : { hint }),
  });
};
