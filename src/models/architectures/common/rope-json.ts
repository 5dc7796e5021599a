/**
 * Rotary position embeddings in `config.json`. The fields are read under two names: `rope_scaling`, and
 * `rope_parameters` in transformers 5.
 */
import { z } from "zod";
import { parseConfig } from "../../../core/checks/config.ts";
import { isRecord } from "../../../core/checks/is-record.ts";
import { CheckpointError } from "../../../core/errors/errors.ts";
import { lazy } from "../../../core/lazy.ts";
import { show } from "../../../core/text/show.ts";
import type { RotaryScaling } from "../../../ops/rotary.ts";
import type { ModelConfig, RopeConfig } from "../../config.ts";

const defaultTheta = 10_000;

const ropeFields = lazy(() =>
  z.object({
    rope_theta: z.number().nullish(),
    partial_rotary_factor: z.number().nullish(),
    original_max_position_embeddings: z.number().nullish(),
  }),
);

const localFields = lazy(() => z.object({ rope_local_base_freq: z.number().nullish() }));

const linearJson = lazy(() => z.object({ factor: z.number() }));
const llama3Json = lazy(() =>
  z.object({
    factor: z.number(),
    low_freq_factor: z.number(),
    high_freq_factor: z.number(),
    original_max_position_embeddings: z.int().positive(),
  }),
);

type Fields = Readonly<Record<string, unknown>>;

/** Types of layers that may have their own fields. The first type has full attention, the second type has a window. */
const layerKinds = ["full_attention", "sliding_attention"] as const;

const scalingOf = (type: unknown, fields: object, where: string): NonNullable<RopeConfig["scaling"]> => {
  switch (type) {
    case undefined:
    case null:
    case "default":
      return { kind: "none" };
    case "linear":
      return { kind: "linear", factor: parseConfig(linearJson(), fields, where).factor };
    case "llama3": {
      const read = parseConfig(llama3Json(), fields, where);
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

/** Defaults of a class for fields that `config.json` omits. */
export interface RopeDefaults {
  readonly theta?: number;
  /**
   * `rope_theta` of layers with a window, for a class that allows a second base in these layers. For other classes, the
   * base of the other layers.
   */
  readonly windowTheta?: number | "same";
  /** Whether the class may rotate only a part of each head. */
  readonly partial?: true;
}

/** Rotary position embeddings of a file. */
export interface ReadRope {
  readonly position: RopeConfig;
  /** RoPE base of layers with a window, if it differs from the base of the other layers. */
  readonly windowTheta?: number;
}

/**
 * The object that contains the rotary fields, and the name of this object. In older files, the base is a top-level
 * field.
 */
const givenFields = (json: object, where: string): { readonly fields: object; readonly place: string } => {
  const given = ["rope_parameters", "rope_scaling"].filter((name) => (Reflect.get(json, name) ?? null) !== null);
  const [field] = given;
  const spellings = new Set(given.map((name) => JSON.stringify(Reflect.get(json, name))));
  if (spellings.size > 1) {
    const must = "rope_parameters and rope_scaling must be equal if both are present";
    throw new CheckpointError({ where, must, got: show(Reflect.get(json, "rope_scaling")) });
  }
  const fields: unknown = field === undefined ? {} : Reflect.get(json, field);
  const place = `${where}: ${field ?? "rope_scaling"}`;
  if (isRecord(fields)) return { fields, place };
  throw new CheckpointError({ where: place, must: "must be an object", got: show(fields) });
};

/**
 * RoPE base of layers with a window. The wavelengths of these layers must not be scaled.
 * @param byDefault default of `transformers`: 10,000 for Gemma 3, the base of the other layers for OLMo 3.
 */
const readWindowTheta = (json: object, fields: Fields, byDefault: number, place: string): number => {
  const type = fields.rope_type ?? "default";
  if (type !== "default") {
    throw new CheckpointError({ where: `${place}.rope_type`, must: "must be default", got: show(type) });
  }
  const { rope_local_base_freq: older } = parseConfig(localFields(), json, place);
  return parseConfig(ropeFields(), fields, place).rope_theta ?? older ?? byDefault;
};

/**
 * The fields for each type of layer, if the class allows separate fields; otherwise null. A type without fields gets
 * the defaults of the class.
 */
const fieldsByLayer = (given: object, place: string): { readonly main: Fields; readonly local: Fields } | null => {
  if (!Object.keys(given).some((key) => layerKinds.some((kind) => kind === key))) return null;
  const [main = {}, local = {}] = layerKinds.map((kind) => {
    const fields: unknown = Reflect.get(given, kind);
    if (fields === undefined) return {};
    if (isRecord(fields)) return fields;
    throw new CheckpointError({ where: `${place}.${kind}`, must: "must be an object", got: show(fields) });
  });
  return { main, local };
};

/**
 * Reads the rotary position embeddings of a `config.json`.
 * @throws CheckpointError for an unsupported kind.
 */
export const readRope = (json: object, defaults: RopeDefaults, where: string): ReadRope => {
  const given = givenFields(json, where);
  const { windowTheta } = defaults;
  const byLayer = windowTheta === undefined ? null : fieldsByLayer(given.fields, given.place);
  const { fields, place } = byLayer === null ? given : { fields: byLayer.main, place: `${given.place}.full_attention` };
  const outer = parseConfig(ropeFields(), json, where);
  const inner = parseConfig(ropeFields(), fields, place);
  const fraction = inner.partial_rotary_factor ?? outer.partial_rotary_factor ?? 1;
  if (fraction !== 1 && defaults.partial !== true) {
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
  const { rope_type: type, type: older } = fields as Readonly<Record<string, unknown>>;
  const scaling = scalingOf(type ?? older, fields, place);
  const theta = inner.rope_theta ?? outer.rope_theta ?? defaults.theta ?? defaultTheta;
  const byDefault = windowTheta === "same" ? theta : windowTheta;
  const own =
    byDefault === undefined
      ? theta
      : readWindowTheta(json, byLayer?.local ?? {}, byDefault, `${given.place}.sliding_attention`);
  const isOwn = byDefault !== undefined && (own !== theta || scaling.kind !== "none");
  return {
    position: {
      kind: "rope",
      theta,
      ...(fraction === 1 ? {} : { fraction }),
      ...(scaling.kind === "none" ? {} : { scaling }),
    },
    ...(isOwn ? { windowTheta: own } : {}),
  };
};

/** Value of `rope_scaling`. Undefined if there is no scaling. */
const scalingJson = (scaling: RotaryScaling): { readonly rope_scaling?: Record<string, unknown> } => {
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

/** Writes the rotary fields under their older names. */
export const ropeJson = ({ theta, scaling = { kind: "none" } }: RopeConfig): Record<string, unknown> => ({
  rope_theta: theta,
  ...scalingJson(scaling),
});

/** Writes the rotary fields under their newer names. Layers with a window have separate fields for their base. */
export const pairJson = ({ position, window }: { readonly position: RopeConfig } & Pick<ModelConfig, "window">) => {
  const { theta, scaling = { kind: "none" } } = position;
  const { rope_scaling: scaled = { rope_type: "default" } } = scalingJson(scaling);
  return {
    rope_scaling: undefined,
    rope_parameters: {
      full_attention: { ...scaled, rope_theta: theta },
      sliding_attention: { rope_type: "default", rope_theta: window?.theta ?? theta },
    },
  };
};
