/**
 * Reads and writes `adapter_config.json` of PEFT, Hugging Face's library for adapters. Only LoRA adapters are
 * supported.
 */
import { z } from "zod";
import { isRecord } from "../../core/checks/is-record.ts";
import { CheckpointError } from "../../core/errors/errors.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { show } from "../../core/text/show.ts";
import type { ModelConfig } from "../../models/config.ts";
import { adapterModules } from "../../models/hugging-face/adapter-modules.ts";
import type { LoraConfig } from "../../models/lora/config.ts";
import { checkJson, jsonText, parseJson } from "../files/checkpoint-json.ts";

/**
 * Metadata key in an adapter's weights file. The value of the key is the hash of the base weights. The key is part of
 * the file, so copies of the file keep it. Other programs ignore it.
 */
export const baseHashKey = "base_model_sha256";

/** Configuration of a LoRA adapter. Modules have the same names as in the model's class of `transformers`. */
export interface PeftConfig {
  /** The base model: a path, or a name on the hub. Null if the file does not name a base model. */
  readonly base: string | null;
  /** Branch, tag or commit of the base model on the hub; null means the default branch. */
  readonly revision: string | null;
  readonly dropout: number;
  /** Rank of modules that `rank_pattern` does not match. */
  readonly rank: number;
  /** Rank of a module: the number of rows of its matrix A. */
  readonly rankOf: (module: string) => number;
  /** Factor that multiplies a module's B·A. */
  readonly scaleOf: (module: string) => number;
  /**
   * Whether a module has an adapter. "unknown" if only a regular expression could tell, because regular expressions are
   * not evaluated here.
   */
  readonly targets: (module: string) => boolean | "unknown";
}

/** Fields that are read below, and fields that do not change results. */
const known = new Set([
  ...["peft_type", "task_type", "base_model_name_or_path", "revision", "auto_mapping", "peft_version"],
  ...["r", "lora_alpha", "lora_dropout", "use_rslora", "rank_pattern", "alpha_pattern", "bias", "init_lora_weights"],
  ...["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"],
  // `fan_in_fan_out` means that GPT-2's weights are transposed. A and B are never transposed. The other fields concern
  // initialization or devices.
  ...["fan_in_fan_out", "inference_mode", "eva_config", "megatron_core", "runtime_config", "qalora_group_size"],
  "ensure_weight_tying",
]);

/**
 * Initializations that do not change the base weights. Other initializations, such as PiSSA, subtract the initial
 * adapter from the base weights.
 */
const starts = [true, false, "gaussian", "eva", "orthogonal"] as const;

/** Fields that distinguish types of adapters, with the supported values. */
const kinds: Readonly<Record<string, readonly unknown[]>> = {
  peft_type: ["LORA"],
  task_type: [undefined, null, "CAUSAL_LM"],
  bias: [undefined, null, "none"],
  init_lora_weights: [undefined, null, ...starts],
};

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  (Array.isArray(value) && value.length === 0) ||
  (isRecord(value) && Object.keys(value).length === 0);

/** Throws if a field selects an unsupported type of adapter. Types of later versions of PEFT are unsupported too. */
const checkFields = (json: object, where: string): void => {
  for (const [field, values] of Object.entries(kinds)) {
    const value: unknown = Reflect.get(json, field);
    if (values.includes(value)) continue;
    const named = values.filter((one) => one !== undefined && one !== null).map(String);
    const must = `must be ${alternatives(named)}: other kinds of adapters are not supported`;
    throw new CheckpointError({ where: `${where}: ${field}`, must, got: show(value) });
  }
  for (const [field, value] of Object.entries(json)) {
    if (known.has(field) || isEmpty(value)) continue;
    const must = "must be absent: this kind of adapter is not supported";
    throw new CheckpointError({ where: `${where}: ${field}`, must, got: show(value) });
  }
};

const positive = z.number().positive();
const names = z.union([z.array(z.string()), z.string()], { error: "must be a string or a list of strings" });
const numbers = z.union([z.int(), z.array(z.int())], { error: "must be an integer or a list of integers" });

const peftJson = z.object({
  base_model_name_or_path: z.string().nullish(),
  revision: z.string().nullish(),
  r: z.int().positive(),
  lora_alpha: positive,
  lora_dropout: z.number().min(0).lt(1).nullish(),
  use_rslora: z.boolean().nullish(),
  rank_pattern: z.record(z.string(), z.int().positive()).nullish(),
  alpha_pattern: z.record(z.string(), positive).nullish(),
  target_modules: names.nullish(),
  exclude_modules: names.nullish(),
  layers_to_transform: numbers.nullish(),
});

/** Whether `name` equals `end` or ends with a dot and `end`. */
const endsWith = (name: string, end: string): boolean => name === end || name.endsWith(`.${end}`);

/**
 * Returns a matcher for a PEFT pattern. PEFT treats patterns as regular expressions. This function accepts only plain
 * names, with or without `^` and `$`, because an expression from an untrusted file could run for ever.
 */
const plainPattern = (pattern: string, where: string): ((name: string) => boolean) => {
  const [, fromStart, plain] = /^(\^?)((?:[A-Za-z0-9_.-]|\\\.)+)\$?$/u.exec(pattern) ?? [];
  if (plain === undefined) {
    throw new CheckpointError({ where, must: "patterns must be plain module names", got: show(pattern) });
  }
  const wanted = plain.replaceAll("\\.", ".");
  return (name) => (fromStart === "^" ? name === wanted : endsWith(name, wanted));
};

/**
 * Returns a function that finds the value of the first pattern that matches a name. If no pattern matches, the function
 * returns `rest`.
 */
const patternValues = (patterns: Readonly<Record<string, number>>, rest: number, where: string) => {
  const list = Object.entries(patterns).map(([pattern, value]) => ({ matches: plainPattern(pattern, where), value }));
  return (name: string): number => list.find(({ matches }) => matches(name))?.value ?? rest;
};

/**
 * Reads an adapter's configuration.
 * @param where the file, for errors.
 * @throws CheckpointError with the field, if the adapter is not a plain LoRA adapter.
 */
export const parsePeftConfig = (bytes: Uint8Array, where: string): PeftConfig => {
  const raw = parseJson(bytes, where);
  if (!isRecord(raw)) throw new CheckpointError({ where, must: "must be an object", got: show(raw) });
  checkFields(raw, where);
  const json = checkJson(peftJson, raw, where);
  const rankOf = patternValues(json.rank_pattern ?? {}, json.r, `${where}: rank_pattern`);
  const alphaOf = patternValues(json.alpha_pattern ?? {}, json.lora_alpha, `${where}: alpha_pattern`);
  const list = json.target_modules;
  const isPart = !isEmpty(json.exclude_modules) || !isEmpty(json.layers_to_transform);
  return {
    base: json.base_model_name_or_path ?? null,
    revision: json.revision ?? null,
    dropout: json.lora_dropout ?? 0,
    rank: json.r,
    rankOf,
    // Rank-stabilised LoRA divides alpha by the square root of the rank.
    scaleOf: (name) => alphaOf(name) / (json.use_rslora === true ? Math.sqrt(rankOf(name)) : rankOf(name)),
    targets: (name) => {
      if (!Array.isArray(list)) return "unknown";
      const isNamed = list.some((target) => endsWith(name, target));
      return isNamed && isPart ? "unknown" : isNamed;
    },
  };
};

/** Base model of an adapter, as `adapter_config.json` names it. */
export interface AdapterBase {
  /** A path, or a name on the hub without `hf:`; null if it is unknown. */
  readonly name: string | null;
  /** Branch, tag or commit on the hub. */
  readonly revision?: string | undefined;
  /**
   * Whether the base model's files fuse Q, K and V into one layer, and gate and up into one layer; see
   * `Pretrained.fused`. Default: as in the model's class.
   */
  readonly fused?: boolean | undefined;
  /** Hash of the base weights; see `Pretrained.sha256`. Null or undefined if it is unknown. */
  readonly sha256?: string | null | undefined;
}

/** Text of `adapter_config.json` for an adapter of a model with configuration `config`. */
export const peftConfigText = (config: ModelConfig, lora: LoraConfig, base: AdapterBase): string => {
  const { rank, alpha, dropout, targets } = lora;
  const { all, transposed, shortName } = adapterModules(config, base.fused);
  const target = new Set<string>();
  const ranks: Record<string, number> = {};
  const alphas: Record<string, number> = {};
  for (const module of all) {
    const count = module.parts.filter((part) => targets?.includes(part.target) ?? true).length;
    if (count === 0) continue;
    const name = shortName(module);
    target.add(name);
    if (count === 1) continue;
    // A fused module has one adapter that combines the adapters of `count` targets. The combined rank is `count` times
    // the rank of one target. See write.ts.
    ranks[name] = count * rank;
    alphas[name] = count * alpha;
  }
  return jsonText({
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: base.name,
    revision: base.revision ?? null,
    auto_mapping: null,
    inference_mode: true,
    r: rank,
    lora_alpha: alpha,
    lora_dropout: dropout,
    target_modules: [...target].sort(),
    rank_pattern: ranks,
    alpha_pattern: alphas,
    fan_in_fan_out: transposed,
    bias: "none",
    modules_to_save: null,
    init_lora_weights: true,
    use_rslora: false,
    use_dora: false,
  });
};
