/** Rotary positions of a `config.json`, read in both spellings: `rope_scaling`, and `rope_parameters` of transformers 5. */
import { z } from "zod";
import { parseConfig } from "../../../core/checks/config.ts";
import { isRecord } from "../../../core/checks/is-record.ts";
import { CheckpointError } from "../../../core/errors/errors.ts";
import { show } from "../../../core/text/show.ts";
import type { RotaryScaling } from "../../../ops/rotary.ts";
import type { RopeConfig } from "../../config.ts";

const defaultTheta = 10_000;

const ropeFields = z.object({
  rope_theta: z.number().nullish(),
  partial_rotary_factor: z.number().nullish(),
  original_max_position_embeddings: z.number().nullish(),
});

const linearJson = z.object({ factor: z.number() });
const llama3Json = z.object({
  factor: z.number(),
  low_freq_factor: z.number(),
  high_freq_factor: z.number(),
  original_max_position_embeddings: z.int().positive(),
});

const scalingOf = (type: unknown, fields: object, where: string): NonNullable<RopeConfig["scaling"]> => {
  switch (type) {
    case undefined:
    case null:
    case "default":
      return { kind: "none" };
    case "linear":
      return { kind: "linear", factor: parseConfig(linearJson, fields, where).factor };
    case "llama3": {
      const read = parseConfig(llama3Json, fields, where);
      return {
        kind: "llama3",
        factor: read.factor,
        lowFrequency: read.low_freq_factor,
        highFrequency: read.high_freq_factor,
        originalContext: read.original_max_position_embeddings,
      };
    }
    default:
      throw new CheckpointError({
        where: `${where}.rope_type`,
        must: "must be default, linear or llama3",
        got: show(type),
      });
  }
};

/**
 * The rotary positions of a `config.json`.
 * @param partial whether the class may rotate a part of each head.
 * @throws CheckpointError for a kind that is not computed here.
 */
export const readRope = (json: object, partial: boolean, where: string): RopeConfig => {
  const given = ["rope_parameters", "rope_scaling"].filter((name) => (Reflect.get(json, name) ?? null) !== null);
  const [field] = given;
  const spellings = new Set(given.map((name) => JSON.stringify(Reflect.get(json, name))));
  if (spellings.size > 1) {
    const must = "rope_parameters and rope_scaling must be the same where both are given";
    throw new CheckpointError({ where, must, got: show(Reflect.get(json, "rope_scaling")) });
  }
  const fields: unknown = field === undefined ? {} : Reflect.get(json, field);
  const place = `${where}: ${field ?? "rope_scaling"}`;
  if (!isRecord(fields)) {
    throw new CheckpointError({ where: place, must: "must be an object", got: show(fields) });
  }
  const outer = parseConfig(ropeFields, json, where);
  const inner = parseConfig(ropeFields, fields, place);
  const fraction = inner.partial_rotary_factor ?? outer.partial_rotary_factor ?? 1;
  if (fraction !== 1 && !partial) {
    throw new CheckpointError({
      where: `${where}: partial_rotary_factor`,
      must: "must be 1 for this kind of model",
      got: show(fraction),
    });
  }
  const nested = Object.entries(fields).find(([, value]) => isRecord(value));
  if (nested !== undefined) {
    throw new CheckpointError({ where: place, must: "must be the same in every layer", got: `one for ${nested[0]}` });
  }
  const scaling = scalingOf(fields.rope_type ?? fields.type, fields, place);
  return {
    kind: "rope",
    theta: inner.rope_theta ?? outer.rope_theta ?? defaultTheta,
    ...(fraction === 1 ? {} : { fraction }),
    ...(scaling.kind === "none" ? {} : { scaling }),
  };
};

/** `rope_scaling`, absent where there is none. */
const scalingJson = (scaling: RotaryScaling) => {
  switch (scaling.kind) {
    case "none":
      return {};
    case "linear":
      return { rope_scaling: { rope_type: "linear", factor: scaling.factor } };
    case "llama3":
      return {
        rope_scaling: {
          rope_type: "llama3",
          factor: scaling.factor,
          low_freq_factor: scaling.lowFrequency,
          high_freq_factor: scaling.highFrequency,
          original_max_position_embeddings: scaling.originalContext,
        },
      };
    default:
      return scaling satisfies never;
  }
};

/** The fields of rotary positions. */
export const ropeJson = ({ theta, scaling = { kind: "none" } }: RopeConfig): Record<string, unknown> => ({
  rope_theta: theta,
  ...scalingJson(scaling),
});
