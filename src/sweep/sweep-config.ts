/** What a sweep is asked: its file, and the settings that follow from it. */
import { z } from "zod";
import { type RunConfig, runConfigSchema } from "../config/config.ts";
import { merge, type PartialConfig } from "../config/merge.ts";
import { type PresetName, presetNames } from "../config/presets.ts";
import { parseConfig } from "../core/checks/config.ts";
import { type ConfigField, configFields } from "../core/checks/schema-fields.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { nearest } from "../core/text/nearest.ts";

/** Fields of a configuration that a sweep can vary, as "train.learningRate". The seed is in `seeds`; adapters need weights. */
export const variedFields: readonly ConfigField[] = configFields(runConfigSchema).filter(
  ({ path }) => path[0] !== "lora" && path.join(".") !== "train.seed",
);

const scalar = z.union([z.number(), z.string(), z.boolean()]);
const changes = z.record(z.string(), z.unknown());

export const rangeSchema = z.union([
  z.strictObject({
    from: z.number().describe("first value"),
    to: z.number().describe("last value"),
    step: z.number().positive().describe("distance of two values"),
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
      .describe("seed after seed; a setting ends when its losses at the end are worse than another's by a test"),
    error: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.05)
      .describe("at most this probability, in the whole sweep, that the best setting is stopped"),
  }),
  z.strictObject({
    kind: z
      .literal("halving")
      .describe(
        "after each stage the better half goes on: fewer steps, and no promise, since learning rates fall to the end",
      ),
    stages: z
      .array(z.number().gt(0).lt(1))
      .min(1)
      .max(20)
      .default([0.25, 0.5])
      .describe("shares of a run's steps at which halves end"),
  }),
  z.strictObject({ kind: z.literal("never").describe("every setting trains to its end") }),
]);
export type StopRule = z.infer<typeof stopSchema>;

/** The file of a sweep. */
export const sweepSchema = z.strictObject({
  $schema: z.string().optional().describe("address of the schema, for editors"),
  data: z.string().min(1).describe("name of a corpus, or path of a UTF-8 text or a folder of them, from this file"),
  preset: z
    .enum(presetNames as [PresetName, ...PresetName[]])
    .optional()
    .describe("preset of all settings; default: as train has it"),
  tokenizer: changes.optional().describe("fields of all settings"),
  model: changes.optional().describe("fields of all settings"),
  train: changes.optional().describe("fields of all settings"),
  vary: z
    .record(z.string(), z.union([z.array(scalar).min(1).max(1000), rangeSchema]))
    .optional()
    .describe("fields with their values: all combinations are tried"),
  settings: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(100).optional().describe("its name in tables"),
        tokenizer: changes.optional(),
        model: changes.optional(),
        train: changes.optional(),
      }),
    )
    .min(1)
    .max(1000)
    .optional()
    .describe("settings one by one; each with all combinations of vary"),
  seeds: z
    .union([z.int().min(1).max(100), z.array(z.int().min(0)).min(1).max(100)])
    .default(3)
    .describe("number of seeds, or the seeds: the same for each setting"),
  choose: z.number().gt(0).lt(1).default(0.1).describe("share of the text that chooses weights and settings"),
  heldOut: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.1)
    .describe("share of the text, at its end, on which the winner is measured once"),
  stop: stopSchema.optional().describe("when a setting ends early; default: race with several seeds, else never"),
  budget: z
    .union([
      z.strictObject({ steps: z.int().positive().describe("training steps of all runs together") }),
      z.strictObject({
        minutes: z.number().positive().describe("minutes of the whole sweep; then its table depends on the machine"),
      }),
    ])
    .optional()
    .describe("what the sweep may take: where it is too little, fewer of the best settings go on"),
});

export type ParsedSweep = z.output<typeof sweepSchema>;

/** Settings that are compared. */
export interface SweepSetting {
  /** In tables: its own name, and the values of varied fields. */
  readonly name: string;
  /** Its fields, over the preset. */
  readonly config: PartialConfig<RunConfig>;
}

/** More would never end. */
const mostSettings = 1000;

const round = (value: number): number => Number(value.toPrecision(6));

const valuesOf = (where: string, given: NonNullable<ParsedSweep["vary"]>[string]): readonly unknown[] => {
  if (Array.isArray(given)) return given;
  const { from, to } = given;
  if ("step" in given) {
    const count = Math.floor((to - from) / given.step + 1e-9) + 1;
    if (count >= 1 && count <= mostSettings)
      return Array.from({ length: count }, (_, i) => round(from + i * given.step));
    const must = `must have from 1 to ${mostSettings} values, with to at least from`;
    throw new ConfigError({ where, must, got: `from ${from} to ${to} in steps of ${given.step}` });
  }
  const { count, scale } = given;
  if (scale === "log" && !(from > 0 && to > 0)) {
    throw new ConfigError({ where, must: "a range on a log scale must be above 0", got: `from ${from} to ${to}` });
  }
  // Of a log scale three digits: 0.00215 is read more easily than 0.00215443.
  return Array.from({ length: count }, (_, i) =>
    scale === "log" && i > 0 && i < count - 1
      ? Number((from * (to / from) ** (i / (count - 1))).toPrecision(3))
      : round(scale === "log" ? (i === 0 ? from : to) : from + ((to - from) * i) / (count - 1)),
  );
};

/** Nested objects for a field. */
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
    must: "must have fields of a configuration, as train.learningRate",
    got: name,
    ...(hint === undefined ? {} : { hint }),
  });
};

/** Short names of fields, as far as they tell them apart. */
const shortNames = (names: readonly string[]): ReadonlyMap<string, string> => {
  const last = (name: string): string => name.split(".").at(-1) ?? name;
  return new Map(
    names.map((name) => [name, names.filter((one) => last(one) === last(name)).length > 1 ? name : last(name)]),
  );
};

/** All combinations of the varied values, the first field slowest. */
const combinations = (where: string, vary: NonNullable<ParsedSweep["vary"]>): readonly SweepSetting[] => {
  const short = shortNames(Object.keys(vary));
  let all: readonly { readonly parts: readonly string[]; readonly config: unknown }[] = [{ parts: [], config: {} }];
  for (const [name, given] of Object.entries(vary)) {
    const { path } = fieldOf(where, name);
    const values = valuesOf(`${where}: vary.${name}`, given);
    if (all.length * values.length > mostSettings) {
      throw new ConfigError({
        where: `${where}: vary`,
        must: `must make at most ${mostSettings} settings`,
        got: `more, with ${name}`,
      });
    }
    all = all.flatMap(({ parts, config }) =>
      values.map((value) => ({
        parts: [...parts, `${short.get(name)} ${String(value)}`],
        config: merge(config, nested(path, value)),
      })),
    );
  }
  return all.map(({ parts, config }) => ({ name: parts.join(", "), config: config as PartialConfig<RunConfig> }));
};

/** The seeds of a sweep. */
export const seedsOf = ({ seeds }: ParsedSweep): readonly number[] =>
  typeof seeds === "number" ? Array.from({ length: seeds }, (_, i) => i + 1) : seeds;

/** The rule by which settings end early. */
export const stopOf = (sweep: ParsedSweep): StopRule =>
  sweep.stop ?? (seedsOf(sweep).length > 1 ? { kind: "race", error: 0.05 } : { kind: "never" });

/** @throws ConfigError for fields that do not go with each other. */
const checkSweep = (where: string, sweep: ParsedSweep): void => {
  const seeds = seedsOf(sweep);
  const refuse = (field: string, must: string, got: string, hint?: string): never => {
    throw new ConfigError({ where: `${where}: ${field}`, must, got, ...(hint === undefined ? {} : { hint }) });
  };
  if (new Set(seeds).size < seeds.length) refuse("seeds", "must be different", seeds.join(", "));
  if (sweep.choose + sweep.heldOut >= 1)
    refuse(
      "choose and heldOut",
      "must leave a part to learn from",
      `${sweep.choose} and ${sweep.heldOut}`,
      "0.1 and 0.1",
    );
  const stop = stopOf(sweep);
  if (stop.kind === "race" && seeds.length < 2)
    refuse("stop", "a race needs at least two seeds", `${seeds.length}`, "seeds 3, or kind halving");
  if (stop.kind === "halving" && stop.stages.some((share, i) => share <= (stop.stages[i - 1] ?? 0)))
    refuse("stop.stages", "must rise", stop.stages.join(", "), "0.25, 0.5");
};

/**
 * Checks the contents of a sweep's file.
 * @param where its name in errors.
 * @throws ConfigError naming the first bad field.
 */
export const parseSweep = (json: unknown, where: string): ParsedSweep => {
  const sweep = parseConfig(sweepSchema, json, where);
  checkSweep(where, sweep);
  return sweep;
};

/**
 * The settings of a sweep: those of `settings`, each with all combinations of `vary`.
 * @param where the file's name in errors.
 * @throws ConfigError for an unknown field, or fewer than two settings.
 */
export const settingsOf = (sweep: ParsedSweep, where: string): readonly SweepSetting[] => {
  const { tokenizer = {}, model = {}, train = {} } = sweep;
  const named = sweep.settings ?? [{}];
  const varied = combinations(where, sweep.vary ?? {});
  const settings = named.flatMap(({ name, ...own }, i) =>
    varied.map((one) => ({
      name: [name ?? (named.length > 1 ? `setting ${i + 1}` : ""), one.name].filter((part) => part !== "").join(", "),
      config: [own, one.config].reduce(merge as (a: unknown, b: unknown) => unknown, {
        tokenizer,
        model,
        train,
      }) as PartialConfig<RunConfig>,
    })),
  );
  if (settings.length >= 2 && settings.length <= mostSettings) return settings;
  throw new ConfigError({
    where,
    must: `must make from 2 to ${mostSettings} settings, by vary or settings`,
    got: String(settings.length),
    hint: '"vary": { "train.learningRate": [0.006, 0.012] }',
  });
};
