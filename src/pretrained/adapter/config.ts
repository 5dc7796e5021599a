/** `adapter_config.json` of PEFT, Hugging Face's library of adapters: what it says of a LoRA adapter. */
import { z } from "zod";
import { isRecord } from "../../core/checks/is-record.ts";
import { CheckpointError } from "../../core/errors/errors.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { show } from "../../core/text/show.ts";
import type { ModelConfig } from "../../models/config.ts";
import { adapterModules } from "../../models/hugging-face/adapter-modules.ts";
import type { LoraConfig } from "../../models/lora/config.ts";
import { checkJson, jsonText, parseJson } from "../files/checkpoint-json.ts";

export const adapterConfigName = "adapter_config.json";
export const adapterWeightsName = "adapter_model.safetensors";

/**
 * The hash of the weights that an adapter was trained on, in the metadata of its own weights' file: copies keep it, and other
 * programs pass over it.
 */
export const baseHashKey = "base_model_sha256";

/** A LoRA adapter's configuration. Modules are named as in the class of `transformers`. */
export interface PeftConfig {
  /** The model that it was trained for: a path, or a name on the hub; null if it does not say. */
  readonly base: string | null;
  /** Its branch, tag or commit on the hub; null: the default one. */
  readonly revision: string | null;
  readonly dropout: number;
  /** The rank of most modules. */
  readonly rank: number;
  /** Rows of A of a module. */
  readonly rankOf: (module: string) => number;
  /** Factor of a module's B·A. */
  readonly scaleOf: (module: string) => number;
  /** Whether a module has an adapter; "unknown" where a regular expression says it, which is not evaluated here. */
  readonly targets: (module: string) => boolean | "unknown";
}

/** Fields that change no result here, or are read below. */
const known = new Set([
  ...["peft_type", "task_type", "base_model_name_or_path", "revision", "auto_mapping", "peft_version"],
  ...["r", "lora_alpha", "lora_dropout", "use_rslora", "rank_pattern", "alpha_pattern", "bias", "init_lora_weights"],
  ...["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"],
  // Weights of GPT-2 are transposed, A and B are not; the others are about the start of training, or its devices.
  ...["fan_in_fan_out", "inference_mode", "eva_config", "megatron_core", "runtime_config", "qalora_group_size"],
  "ensure_weight_tying",
]);

/** Starts that leave the model's own weights as they are. The others, such as PiSSA, take a part out of them. */
const starts = [true, false, "gaussian", "eva", "orthogonal"] as const;

/** Fields that tell kinds of adapters apart, with the values that are read. */
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

/** Fails for fields that make another kind of adapter, of this version of PEFT or a later one. */
const checkFields = (json: object, where: string): void => {
  for (const [field, values] of Object.entries(kinds)) {
    const value: unknown = Reflect.get(json, field);
    if (values.includes(value)) continue;
    const named = values.filter((one) => one !== undefined && one !== null).map(String);
    const must = `must be ${alternatives(named)}: other adapters are not supported`;
    throw new CheckpointError({ where: `${where}: ${field}`, must, got: show(value) });
  }
  for (const [field, value] of Object.entries(json)) {
    if (known.has(field) || isEmpty(value)) continue;
    const must = "must be absent, since such adapters are not supported";
    throw new CheckpointError({ where: `${where}: ${field}`, must, got: show(value) });
  }
};

const positive = z.number().positive();
const names = z.union([z.array(z.string()), z.string()], { error: "must be a text or a list of texts" });
const numbers = z.union([z.int(), z.array(z.int())], { error: "must be a whole number or a list of them" });

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

/** Whether a name is `end`, or ends with it after a dot. */
const endsWith = (name: string, end: string): boolean => name === end || name.endsWith(`.${end}`);

/**
 * A pattern of PEFT, for which names are regular expressions: plain names are compared, with or without `^` and `$`. No
 * expression of a stranger's file is evaluated: some take for ever.
 */
const plainPattern = (pattern: string, where: string): ((name: string) => boolean) => {
  const [, fromStart, plain] = /^(\^?)((?:[A-Za-z0-9_.-]|\\\.)+)\$?$/u.exec(pattern) ?? [];
  if (plain === undefined) {
    throw new CheckpointError({ where, must: "patterns must be plain names of modules", got: show(pattern) });
  }
  const wanted = plain.replaceAll("\\.", ".");
  return (name) => (fromStart === "^" ? name === wanted : endsWith(name, wanted));
};

/** The value of the first pattern that matches. */
const patternValues = (patterns: Readonly<Record<string, number>>, rest: number, where: string) => {
  const list = Object.entries(patterns).map(([pattern, value]) => ({ matches: plainPattern(pattern, where), value }));
  return (name: string): number => list.find(({ matches }) => matches(name))?.value ?? rest;
};

/**
 * An adapter's configuration.
 * @param where the file, for errors.
 * @throws CheckpointError naming the field, for an adapter that is no plain LoRA.
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
    // Rank-stabilised LoRA divides by the root.
    scaleOf: (name) => alphaOf(name) / (json.use_rslora === true ? Math.sqrt(rankOf(name)) : rankOf(name)),
    targets: (name) => {
      if (!Array.isArray(list)) return "unknown";
      const isNamed = list.some((target) => endsWith(name, target));
      return isNamed && isPart ? "unknown" : isNamed;
    },
  };
};

/** The model that an adapter was trained for, as its configuration names it. */
export interface AdapterBase {
  /** A path, or a name on the hub without `hf:`; null: unknown. */
  readonly name: string | null;
  /** A branch, a tag or a commit on the hub. */
  readonly revision?: string | undefined;
  /** Whether its files have Q, K and V as one layer, and gate and up, as `Pretrained.fused`. Default: as its class has them. */
  readonly fused?: boolean | undefined;
  /** The hash of its weights, as `Pretrained.sha256`; null or undefined: unknown. */
  readonly sha256?: string | null | undefined;
}

/** The contents of `adapter_config.json` for an adapter on `config`. */
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
    // Several adapters side by side are one of several times the rank: see tensors.ts.
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
