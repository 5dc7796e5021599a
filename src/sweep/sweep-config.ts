/** Reads a sweep's file and makes its settings. */
import { z } from "zod";
import { type RunConfig, runConfigSchema } from "../config/config.ts";
import { merge, type PartialConfig } from "../config/merge.ts";
import { type PresetName, presetNames } from "../config/presets.ts";
import { parseConfig } from "../core/checks/config.ts";
import { type ConfigField, configFields } from "../core/checks/schema-fields.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { nearest } from "../core/text/nearest.ts";

/**
 * Configuration fields that a sweep can vary, such as "train.learningRate". The seed cannot be varied, because `seeds`
 * lists the seeds. Adapters cannot be varied, because they need a model to start from.
 */
export const variedFields: readonly ConfigField[] = configFields(runConfigSchema).filter(
  ({ path }) => path[0] !== "lora" && path.join(".") !== "train.seed",
);

const scalar = z.union([z.number(), z.string(), z.boolean()]);
const changes = z.record(z.string(), z.unknown());

export const rangeSchema = z.union([
  z.strictObject({
    from: z.number().describe("first value"),
    to: z.number().describe("last value"),
    step: z.number().positive().describe("distance between two values"),
  }),
  z.strictObject({
    from: z.number().describe("first value"),
    to: z.number().describe("last value"),
    count: z.int().min(2).max(1000).describe("number of values"),
    scale: z.enum(["linear", "log"]).default("linear").describe("log: equal ratios between values"),
  }),
]);

export const stopSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z
      .literal("race")
      .describe(
        "train one seed after the other; a setting ends early if a statistical test finds that another setting has lower final losses",
      ),
    error: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.05)
      .describe("maximum probability that the best setting is stopped: over the whole sweep, or in each comparison"),
    per: z
      .enum(["sweep", "comparison"])
      .optional()
      .describe(
        "what error is for; default: sweep. comparison saves more steps, and more often stops the best of settings that are almost equal",
      ),
  }),
  z.strictObject({
    kind: z
      .literal("halving")
      .describe(
        "only the better half continues after each stage: fewer steps, but no guarantee, because losses before the end of a learning-rate schedule can mislead",
      ),
    stages: z
      .array(z.number().gt(0).lt(1))
      .min(1)
      .max(20)
      .default([0.25, 0.5])
      .describe("shares of a run's steps after which the worse half ends"),
  }),
  z.strictObject({ kind: z.literal("never").describe("every setting trains to its last step") }),
]);
export type StopRule = z.infer<typeof stopSchema>;

/** Schema of a sweep's file. */
export const sweepSchema = z.strictObject({
  $schema: z.string().optional().describe("address of the schema, for editors"),
  data: z
    .string()
    .min(1)
    .describe("name of a corpus, or path (relative to this file) of a UTF-8 text or a folder of texts"),
  preset: z
    .enum(presetNames as [PresetName, ...PresetName[]])
    .optional()
    .describe("preset of all settings; default: the default of train"),
  teacher: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
    .optional()
    .describe(
      "model, or list of models, from which all settings learn in addition to the text; give models that were not trained on the held-out text",
    ),
  tokenizer: changes.optional().describe("fields of all settings"),
  model: changes.optional().describe("fields of all settings"),
  train: changes.optional().describe("fields of all settings"),
  vary: z
    .record(z.string(), z.union([z.array(scalar).min(1).max(1000), rangeSchema]))
    .optional()
    .describe("fields with their values; all combinations are tried"),
  settings: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(100).optional().describe("name of the setting in tables"),
        tokenizer: changes.optional(),
        model: changes.optional(),
        train: changes.optional(),
      }),
    )
    .min(1)
    .max(1000)
    .optional()
    .describe("list of settings; each is combined with all combinations of vary"),
  seeds: z
    .union([z.int().min(1).max(100), z.array(z.int().min(0)).min(1).max(100)])
    .default(3)
    .describe("number of seeds, or a list of seeds; each setting uses the same seeds"),
  choose: z.number().gt(0).lt(1).default(0.1).describe("share of the text for choosing weights and settings"),
  heldOut: z.number().gt(0).lt(1).default(0.1).describe("share of the text, at its end, for measuring the winner once"),
  stop: stopSchema.optional().describe("when a setting ends early; default: race with several seeds, else never"),
  budget: z
    .union([
      z.strictObject({ steps: z.int().positive().describe("training steps of all runs together") }),
      z.strictObject({
        minutes: z
          .number()
          .positive()
          .describe("minutes of the whole sweep; the result then depends on the speed of the machine"),
      }),
    ])
    .optional()
    .describe("limit of the whole sweep; if it is too small for all settings, only the best ones continue"),
});

export type ParsedSweep = z.output<typeof sweepSchema>;

/** A part of a setting's name. */
export interface SettingPart {
  /** Shortest distinct name of a varied field. Null: the part is the setting's own name. */
  readonly field: string | null;
  /** Value of the field as text, or the setting's own name. */
  readonly value: string;
}

/** A setting of the sweep. */
export interface SweepSetting {
  /** Name in tables: the setting's own name and the values of varied fields. */
  readonly name: string;
  readonly parts: readonly SettingPart[];
  /** Fields of the setting, which replace the preset's fields. */
  readonly config: PartialConfig<RunConfig>;
}

/** Maximum number of settings. A sweep with more settings would take too long. */
const mostSettings = 1000;

const round = (value: number): number => Number(value.toPrecision(6));

const valuesOf = (where: string, given: NonNullable<ParsedSweep["vary"]>[string]): readonly unknown[] => {
  if (Array.isArray(given)) return given;
  const { from, to } = given;
  if ("step" in given) {
    const count = Math.floor((to - from) / given.step + 1e-9) + 1;
    if (count >= 1 && count <= mostSettings)
      return Array.from({ length: count }, (_, i) => round(from + i * given.step));
    const must = `must have from 1 to ${mostSettings} values, and to must not be below from`;
    throw new ConfigError({ where, must, got: `from ${from} to ${to} in steps of ${given.step}` });
  }
  const { count, scale } = given;
  if (scale === "log" && !(from > 0 && to > 0)) {
    throw new ConfigError({ where, must: "from and to must be above 0 on a log scale", got: `from ${from} to ${to}` });
  }
  // On a log scale, values are rounded to three digits: 0.00215 is easier to read than 0.00215443.
  return Array.from({ length: count }, (_, i) =>
    scale === "log" && i > 0 && i < count - 1
      ? Number((from * (to / from) ** (i / (count - 1))).toPrecision(3))
      : round(scale === "log" ? (i === 0 ? from : to) : from + ((to - from) * i) / (count - 1)),
  );
};

/** Builds nested objects for a field. */
const nested = (path: readonly string[], value: unknown): unknown =>
  path.reduceRight((inner, key) => ({ [key]: inner }), value);

const fieldOf = (where: string, name: string): ConfigField => {
  const found = variedFields.find(({ path }) => path.join(".") === name);
  if (found !== undefined) return found;
  const names = variedFields.map(({ path }) => path.join("."));
  const hint =
    name === "train.seed" ? "seeds" : (nearest(name, names) ?? names.find((one) => one.endsWith(`.${name}`)));
  throw new ConfigError({
    where: `${where}: vary`,
    must: "must name configuration fields, such as train.learningRate",
    got: name,
    ...(hint === undefined ? {} : { hint }),
  });
};

/** Shortest distinct name of each field: its last part if no other field has it. */
const shortNames = (names: readonly string[]): ReadonlyMap<string, string> => {
  const last = (name: string): string => name.split(".").at(-1) ?? name;
  return new Map(
    names.map((name) => [name, names.filter((one) => last(one) === last(name)).length > 1 ? name : last(name)]),
  );
};

type Combination = Omit<SweepSetting, "name">;

/** All combinations of the varied values. The values of the first field change most slowly. */
const combinations = (where: string, vary: NonNullable<ParsedSweep["vary"]>): readonly Combination[] => {
  const short = shortNames(Object.keys(vary));
  let all: readonly { readonly parts: readonly SettingPart[]; readonly config: unknown }[] = [
    { parts: [], config: {} },
  ];
  for (const [name, given] of Object.entries(vary)) {
    const { path } = fieldOf(where, name);
    const values = valuesOf(`${where}: vary.${name}`, given);
    if (all.length * values.length > mostSettings) {
      throw new ConfigError({
        where: `${where}: vary`,
        must: `must describe at most ${mostSettings} settings`,
        got: `more, with ${name}`,
      });
    }
    all = all.flatMap(({ parts, config }) =>
      values.map((value) => ({
        parts: [...parts, { field: short.get(name) ?? name, value: String(value) }],
        config: merge(config, nested(path, value)),
      })),
    );
  }
  return all.map(({ parts, config }) => ({ parts, config: config as PartialConfig<RunConfig> }));
};

/** The seeds of a sweep. */
export const seedsOf = ({ seeds }: ParsedSweep): readonly number[] =>
  typeof seeds === "number" ? Array.from({ length: seeds }, (_, i) => i + 1) : seeds;

/** The rule for ending settings early. */
export const stopOf = (sweep: ParsedSweep): StopRule =>
  sweep.stop ?? (seedsOf(sweep).length > 1 ? { kind: "race", error: 0.05 } : { kind: "never" });

/** @throws ConfigError for fields that contradict each other. */
const checkSweep = (where: string, sweep: ParsedSweep): void => {
  const seeds = seedsOf(sweep);
  const refuse = (field: string, must: string, got: string, hint?: string): never => {
    throw new ConfigError({ where: `${where}: ${field}`, must, got, ...(hint === undefined ? {} : { hint }) });
  };
  if (new Set(seeds).size < seeds.length) refuse("seeds", "must be different", seeds.join(", "));
  if (sweep.choose + sweep.heldOut >= 1)
    refuse(
      "choose and heldOut",
      "must leave a part of the text for training",
      `${sweep.choose} and ${sweep.heldOut}`,
      "0.1 and 0.1",
    );
  const stop = stopOf(sweep);
  if (stop.kind === "race" && seeds.length < 2)
    refuse("stop", "a race needs at least two seeds", `${seeds.length}`, "seeds 3, or stop.kind halving");
  if (stop.kind === "halving" && stop.stages.some((share, i) => share <= (stop.stages[i - 1] ?? 0)))
    refuse("stop.stages", "must rise", stop.stages.join(", "), "0.25, 0.5");
};

/**
 * Checks the contents of a sweep's file.
 * @param where name of the file in errors.
 * @throws ConfigError naming the first bad field.
 */
export const parseSweep = (json: unknown, where: string): ParsedSweep => {
  const sweep = parseConfig(sweepSchema, json, where);
  checkSweep(where, sweep);
  return sweep;
};

/**
 * Makes the settings of a sweep: each entry of `settings`, combined with all combinations of `vary`.
 * @param where name of the file in errors.
 * @throws ConfigError for an unknown field, or fewer than two settings.
 */
export const settingsOf = (sweep: ParsedSweep, where: string): readonly SweepSetting[] => {
  const { tokenizer = {}, model = {}, train = {} } = sweep;
  const named = sweep.settings ?? [{}];
  const varied = combinations(where, sweep.vary ?? {});
  const settings = named.flatMap(({ name: given, ...own }, i) =>
    varied.map((one): SweepSetting => {
      const name = given ?? (named.length > 1 ? `setting ${i + 1}` : "");
      const parts = [...(name === "" ? [] : [{ field: null, value: name }]), ...one.parts];
      return {
        name: parts.map(({ field, value }) => (field === null ? value : `${field} ${value}`)).join(", "),
        parts,
        config: [own, one.config].reduce(merge as (a: unknown, b: unknown) => unknown, {
          tokenizer,
          model,
          train,
        }) as PartialConfig<RunConfig>,
      };
    }),
  );
  if (settings.length >= 2 && settings.length <= mostSettings) return settings;
  throw new ConfigError({
    where,
    must: `must describe from 2 to ${mostSettings} settings, with vary or settings`,
    got: String(settings.length),
    hint: '"vary": { "train.learningRate": [0.006, 0.012] }',
  });
};
