/** The architecture of a configuration. */
import { ConfigError } from "../../core/errors/errors.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import type { ModelConfig } from "../config.ts";
import type { Architecture } from "./architecture.ts";
import { architectures } from "./list.ts";
import { inWords, misfitsOf } from "./traits.ts";

/** What the nearest architecture has instead: the one that takes all but the fewest traits. */
const hintFor = (config: ModelConfig): string | undefined => {
  const [nearest] = architectures
    .map(({ name, takes }) => ({ name, misfits: misfitsOf(takes, config) }))
    .sort((a, b) => a.misfits.length - b.misfits.length);
  const changes = nearest?.misfits.flatMap(({ trait, instead }) =>
    instead === undefined ? [] : [instead === null ? `no ${trait}` : `${trait} ${instead}`],
  );
  return changes === undefined || changes.length !== nearest?.misfits.length
    ? undefined
    : `${changes.join(" and ")}, for ${nearest.name}`;
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
  const names = alternatives(architectures.map(({ name }) => name));
  const hint = hintFor(config);
  throw new ConfigError({
    where,
    must: `must have the shape of an architecture that checkpoints are written for, ${names}`,
    got: inWords(config),
    ...(hint === undefined ? {} : { hint }),
  });
};
