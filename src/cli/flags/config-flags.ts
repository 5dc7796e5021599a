import { type Command, Option } from "commander";
import { z } from "zod";
import { runConfigSchema } from "../../config/config.ts";
import { derivedFields } from "../../config/from-text.ts";
import { defaultPreset, type PresetName, presetNames, presets } from "../../config/presets.ts";
import { type FieldNamer, parseConfig } from "../../core/checks/config.ts";
import { isRecord } from "../../core/checks/is-record.ts";
import { jsonLimits, parseJson } from "../../core/checks/json.ts";
import { type ConfigField, configFields, type FieldDefault } from "../../core/checks/schema-fields.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { readRegularFile, UnreadableFileError } from "../../core/system/regular-file.node.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { dtypeNames } from "../suggestions/values-of-others.ts";
import { checkValue, expecting, flagOf, isGiven, parseBoolean, parseChoice, parseNumber, parseWords } from "./flags.ts";

/** Fields that also have a short flag, because users often set them. */
const shortFlags: Readonly<Record<string, string>> = {
  "--tokenizer": "tokenizer.kind",
  "--average": "train.average.kind",
  ...Object.fromEntries(
    [
      "steps",
      "batchSize",
      "learningRate",
      "seed",
      "dtype",
      "evalInterval",
      "checkpointInterval",
      "patience",
      "onNonfinite",
      "windows",
      "rows",
      "recomputeActivations",
    ].map((name) => [flagOf(name), `train.${name}`]),
  ),
};

const longFlag = (path: readonly string[]): string => `--${path.join(".")}`;

const parserFor = (flag: string, { path, type, choices = [] }: ConfigField): ((text: string) => unknown) => {
  if (path.at(-1) === "dtype") return parseChoice(flag, choices, dtypeNames);
  switch (type) {
    case "number":
      return parseNumber(flag);
    case "words":
      return parseWords(flag, choices);
    case "boolean":
      return parseBoolean(flag);
    case "string":
      return expecting(
        (text: string) => {
          checkValue(flag, text);
          return text;
        },
        { choices },
      );
  }
};

const placeholder = ({ type, choices }: ConfigField): string => {
  if (type === "words") return "<name,…>";
  if (choices !== undefined) return `<${choices.join("|")}>`;
  return type === "boolean" ? "<true|false>" : type === "number" ? "<x>" : "<text>";
};

const valueAt = (config: unknown, path: readonly string[]): unknown =>
  path.reduce((node, key) => (isRecord(node) ? node[key] : undefined), config);

const shown = (value: FieldDefault["value"]): string =>
  typeof value === "number" && value > 0 && value < 1e-3 ? value.toExponential() : String(value);

/**
 * Whether the preset sets the field to a value that is not a default. A field can have a default for each kind, such as
 * each kind of optimizer. Only the default of the preset's kind counts.
 */
const setsOtherwise = (preset: PresetName, { path, defaults }: ConfigField): boolean => {
  const set = valueAt(presets[preset], path);
  const kind = valueAt(presets[preset], [...path.slice(0, -1), "kind"]);
  return set !== undefined && !defaults.some((one) => one.value === set && (one.kind ?? kind) === kind);
};

const namesByValue = (pairs: readonly (readonly [value: unknown, name: string])[]): ReadonlyMap<unknown, string[]> => {
  const names = new Map<unknown, string[]>();
  for (const [value, name] of pairs) if (value !== undefined) names.set(value, [...(names.get(value) ?? []), name]);
  return names;
};

const eachWith = (values: ReadonlyMap<unknown, readonly string[]>): readonly string[] =>
  [...values].map(([value, names]) => `${shown(value as FieldDefault["value"])} with ${alternatives(names)}`);

/** Defaults of a field that presets do not change, such as "8 with llama3". */
const ownDefault = ({ defaults }: ConfigField): string => {
  const values = [...new Set(defaults.map(({ value }) => value))];
  const kinds = defaults.flatMap(({ value, kind }) => (kind === undefined ? [] : [[value, kind] as const]));
  return values.length === 1 ? shown(values[0]) : eachWith(namesByValue(kinds)).join(", ");
};

/** Defaults of a field that presets set, such as "1000; 3000 with book". */
const presetDefault = ({ path }: ConfigField): string => {
  const own = valueAt(presets[defaultPreset], path);
  const others = presetNames.map((name) => [valueAt(presets[name], path), name] as const);
  const differing = others.filter(([value]) => value !== own);
  const told = eachWith(namesByValue(differing)).join(", ");
  return [own === undefined ? "" : shown(own as FieldDefault["value"]), told].filter((part) => part !== "").join("; ");
};

/**
 * The field's default as text, such as " (default: 8 with llama3)". Empty for a field without a default. The
 * description of such a field says what happens.
 */
const defaultText = (field: ConfigField): string => {
  const isOwn = field.defaults.some(({ value }) => value !== undefined);
  const isPreset = presetNames.some((name) => setsOtherwise(name, field));
  const text = isPreset ? presetDefault(field) : isOwn ? ownDefault(field) : "";
  if (text === "") return "";
  const bySize = derivedFields({}).includes(field.path.join("."));
  return ` (default: ${bySize ? `derived from the size of --data, else ${text}` : text})`;
};

interface ConfigFlag {
  readonly path: readonly string[];
  readonly flag: string;
  readonly option: Option;
}

/** The flags for all fields of a configuration. */
export type ConfigFlags = readonly ConfigFlag[];

const configFlag = (flag: string, field: ConfigField, group: string): ConfigFlag => {
  const option = new Option(`${flag} ${placeholder(field)}`, `${field.description}${defaultText(field)}`)
    .argParser(parserFor(flag, field))
    .helpGroup(group);
  return { path: field.path, flag, option };
};

const groups: Readonly<Record<string, string>> = {
  tokenizer: "Tokens: how a text is split into tokens",
  model: "Model: its shape, fixed for the whole run",
  lora: "LoRA: adapters that are trained while the weights of --init-from stay frozen",
  train: "Training: batches, learning rate, optimizer, evaluations",
};

const makeFlags = (): readonly ConfigFlag[] => {
  const fields = configFields(runConfigSchema);
  const short = Object.entries(shortFlags).flatMap(([flag, name]) => {
    const field = fields.find(({ path }) => path.join(".") === name);
    return field === undefined ? [] : [configFlag(flag, field, "Most used: configuration fields with a short flag")];
  });
  return [
    ...short,
    ...fields.map((field) => configFlag(longFlag(field.path), field, groups[field.path[0] ?? ""] ?? "Config:")),
  ];
};

/** Adds a flag for every field of a run's configuration; returns the flags for `changesFromFlags`. */
export const addConfigFlags = (command: Command): ConfigFlags => {
  const flags = makeFlags();
  for (const { option } of flags) command.addOption(option);
  return flags;
};

/** The fields that the user set, as nested objects. The result also contains the flag that set each field. */
export interface FlagChanges {
  readonly changes: Readonly<Record<string, unknown>>;
  /** Key: the field's path, joined with dots. */
  readonly setBy: ReadonlyMap<string, string>;
}

/** @throws ConfigError if the short and the long flag of a field have different values. */
export const changesFromFlags = (command: Command, flags: ConfigFlags): FlagChanges => {
  const changes: Record<string, unknown> = {};
  const setBy = new Map<string, string>();
  const values = new Map<string, unknown>();
  for (const { path, flag, option } of flags) {
    if (!isGiven(command, option)) continue;
    const value: unknown = command.getOptionValue(option.attributeName());
    const key = path.join(".");
    const earlier = setBy.get(key);
    if (earlier !== undefined && values.get(key) !== value) {
      const got = `${String(values.get(key))} and ${String(value)}`;
      throw new ConfigError({ where: `${earlier} and ${flag}`, must: "must agree", got, hint: "one of them" });
    }
    if (earlier !== undefined) continue;
    setBy.set(key, flag);
    values.set(key, value);
    let node = changes;
    for (const part of path.slice(0, -1)) {
      node[part] ??= {};
      node = node[part] as Record<string, unknown>;
    }
    node[path.at(-1) as string] = value;
  }
  return { changes, setBy };
};

/** Fields in tokenizer, model, lora and train are checked after they are merged with the preset. */
const configFileSchema = z.strictObject({
  preset: z.string().optional(),
  tokenizer: z.record(z.string(), z.unknown()).optional(),
  model: z.record(z.string(), z.unknown()).optional(),
  lora: z.record(z.string(), z.unknown()).optional(),
  train: z.record(z.string(), z.unknown()).optional(),
});
export type ConfigFile = z.infer<typeof configFileSchema>;

/**
 * Reads a JSON file.
 * @param where the file's name in errors.
 * @throws ConfigError if the file is missing, too large or not JSON.
 */
export const readJsonFile = async (path: string, where: string): Promise<unknown> => {
  let bytes: Uint8Array;
  try {
    bytes = await readRegularFile(path, { ...jsonLimits.config, followLinks: true });
  } catch (cause) {
    if (cause instanceof UnreadableFileError)
      throw new ConfigError({ where, must: cause.must, got: cause.got, hint: "a JSON file", cause });
    const code = systemErrorCode(cause) ?? String(cause);
    const got = code === "ENOENT" ? "no such file" : code;
    throw new ConfigError({ where, must: "must name a readable JSON file", got, cause });
  }
  return parseJson(bytes, jsonLimits.config, (fault) => new ConfigError({ where, ...fault }));
};

/**
 * Reads a `--config` file. @throws ConfigError if the file is missing, is too large, is not JSON or has an unknown key.
 */
export const readConfigFile = async (path: string): Promise<ConfigFile> =>
  parseConfig(configFileSchema, await readJsonFile(path, `--config ${path}`), path);

const hasPath = (value: unknown, path: readonly string[]): boolean => {
  let node = value;
  for (const part of path) {
    if (typeof node !== "object" || node === null || !Object.hasOwn(node, part)) return false;
    node = Reflect.get(node, part);
  }
  return true;
};

/**
 * Names a field in errors. The first existing name is used: the field's flag, its place in the config file, the flag of
 * a field inside it, its path.
 */
export const fieldNamer =
  ({ setBy }: FlagChanges, file: { readonly path: string; readonly contents: ConfigFile } | undefined): FieldNamer =>
  (path) => {
    const key = path.join(".");
    const flag = setBy.get(key);
    if (flag !== undefined) return flag;
    if (file !== undefined && hasPath(file.contents, path)) return `${file.path}: ${key}`;
    return [...setBy].find(([set]) => set.startsWith(`${key}.`))?.[1] ?? key;
  };
