/** Traits by which architectures differ. Each architecture lists the values of traits that it accepts. */
import type { ModelConfig } from "../config.ts";
import { layerOf } from "../layers.ts";

/** Which layers have an attention window. */
const windowsOf = (config: ModelConfig): "no layer" | "some layers" | "all layers" => {
  if (config.window === undefined) return "no layer";
  const has = Array.from({ length: config.nLayer }, (_, i) => layerOf(config, i).window !== null);
  return has.every((one) => one) ? "all layers" : "some layers";
};

/** Traits of a configuration. Defaults are filled in. */
export const traitsOf = (config: ModelConfig) => {
  const { nEmbd, nHead, nKvHead, headDim, position, window, norm, mlp, bias } = config;
  const rope = position.kind === "rope" ? position : undefined;
  const { qkNorm, norms, scale } = layerOf(config, 0);
  return {
    position: position.kind,
    fraction: rope?.fraction ?? 1,
    scaling: rope?.scaling?.kind ?? ("none" as const),
    noneEvery: rope?.noneEvery ?? null,
    nKvHead: nKvHead ?? nHead,
    headDim: headDim ?? nEmbd / nHead,
    window: windowsOf(config),
    "window.theta": window?.theta ?? null,
    qkNorm,
    attentionScale: scale,
    norm: norm.kind,
    normPlacement: norms,
    mlp: mlp.kind,
    approximate: "approximate" in mlp ? mlp.approximate : ("none" as const),
    "bias.qkv": bias.qkv,
    "bias.projection": bias.projection,
    "bias.mlp": bias.mlp,
    embeddingScale: config.embeddingScale ?? 1,
  };
};

/** Values that distinguish architectures, by trait. */
export type Traits = ReturnType<typeof traitsOf>;
type Trait = keyof Traits;

/**
 * For each field of a configuration, the traits that depend on the field. If no trait depends on a field, every
 * architecture accepts all its values. A new field must be listed here, otherwise the code does not compile.
 */
const traitsOfFields: { readonly [Field in keyof Required<ModelConfig>]: readonly Trait[] } = {
  contextLength: [],
  nLayer: [],
  nHead: [],
  nKvHead: ["nKvHead"],
  headDim: ["headDim"],
  nEmbd: [],
  position: ["position", "fraction", "scaling", "noneEvery"],
  window: ["window", "window.theta"],
  qkNorm: ["qkNorm"],
  qkNormWidth: ["qkNorm"],
  attentionScale: ["attentionScale"],
  // The code in architecture-of.ts refuses other masks.
  mask: [],
  norm: ["norm"],
  normPlacement: ["normPlacement"],
  mlp: ["mlp", "approximate"],
  bias: ["bias.qkv", "bias.projection", "bias.mlp"],
  tieEmbeddings: [],
  embeddingScale: ["embeddingScale"],
  dropout: [],
  initStd: [],
  zeroProjections: [],
};

/** Traits without a neutral value. Each architecture lists which values it accepts. */
type Kind = "position" | "norm" | "mlp";

/** Values that a trait must have if an architecture does not list the trait. */
const neutral = ({ nHead, nEmbd, headDim = nEmbd / nHead }: ModelConfig): Omit<Traits, Kind> => ({
  fraction: 1,
  scaling: "none",
  noneEvery: null,
  nKvHead: nHead,
  headDim: nEmbd / nHead,
  window: "no layer",
  "window.theta": null,
  qkNorm: "none",
  attentionScale: 1 / Math.sqrt(headDim),
  normPlacement: "before",
  approximate: "none",
  "bias.qkv": false,
  "bias.projection": false,
  "bias.mlp": false,
  embeddingScale: 1,
});

/** Values of a trait that an architecture accepts. */
type Taken<Value> =
  | readonly Value[]
  | "any"
  | ((value: Value, config: ModelConfig) => boolean)
  | {
      readonly takes: (value: Value, config: ModelConfig) => boolean;
      /** Text that names an accepted value. */
      readonly instead: (value: Value, config: ModelConfig) => string;
    };

/** Values that an architecture accepts, by trait. */
export type Takes = { readonly [T in Kind]: Taken<Traits[T]> } & { readonly [T in Trait]?: Taken<Traits[T]> };

/** A trait with a value that an architecture does not accept. */
export interface Misfit {
  readonly trait: Trait;
  /** The accepted value, for example "embeddingScale 1". Undefined if several values are accepted. */
  readonly instead: string | undefined;
}

/** The value of a trait, in the names of configuration fields. */
const inFields = (trait: Trait, value: unknown): string => {
  switch (trait) {
    case "window":
      return value === "no layer" ? "no window" : `a window in ${value}`;
    case "qkNorm":
      if (value === "none") return "qkNorm false";
      return value === "all" ? "qkNorm true with qkNormWidth all" : "qkNorm true with qkNormWidth head";
    case "position":
    case "norm":
    case "mlp":
      return `${trait}.kind ${value}`;
    case "approximate":
      return `mlp.approximate ${value}`;
    case "fraction":
    case "noneEvery":
      return value === null ? `no position.${trait}` : `position.${trait} ${value}`;
    case "scaling":
      return `position.scaling.kind ${value}`;
    default:
      return value === null ? `no ${trait}` : `${trait} ${value}`;
  }
};

/** The traits that an architecture does not accept, in declaration order. */
export const misfitsOf = (takes: Takes, config: ModelConfig): readonly Misfit[] => {
  const has = traitsOf(config);
  const plain: Partial<Traits> = neutral(config);
  const check = (trait: Trait): readonly Misfit[] => {
    const value = has[trait];
    const taken = (takes[trait] ?? [plain[trait]]) as Taken<unknown>;
    if (taken === "any") return [];
    if (typeof taken === "function") return taken(value, config) ? [] : [{ trait, instead: undefined }];
    if ("takes" in taken) return taken.takes(value, config) ? [] : [{ trait, instead: taken.instead(value, config) }];
    if (taken.includes(value)) return [];
    return [{ trait, instead: taken.length === 1 ? inFields(trait, taken[0]) : undefined }];
  };
  return [...new Set(Object.values(traitsOfFields).flat())].flatMap(check);
};

/** Short description of a configuration: the kinds of its parts, and all traits that are not neutral. */
export const inWords = (config: ModelConfig): string => {
  const has = traitsOf(config);
  const { position, norm, mlp, ...others } = has;
  const plain: Readonly<Record<string, unknown>> = neutral(config);
  const unusual = Object.entries(others).filter(
    ([trait, value]) => !trait.startsWith("bias.") && trait !== "approximate" && value !== plain[trait],
  );
  const isBiased = has["bias.qkv"] || has["bias.projection"] || has["bias.mlp"];
  const names = unusual.map(([trait, value]) => (trait === "scaling" ? String(value) : trait));
  return [position, ...names, norm, mlp, isBiased ? "biases" : "no biases"].join(", ");
};
