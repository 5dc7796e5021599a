/** What tells architectures apart: the traits of a configuration, and which of their values an architecture takes. */
import type { ModelConfig } from "../config.ts";

/** Traits of a configuration, defaults resolved. */
export const traitsOf = ({ nEmbd, nHead, nKvHead, headDim, position, norm, mlp, bias, qkNorm }: ModelConfig) => {
  const rope = position.kind === "rope" ? position : undefined;
  return {
    position: position.kind,
    fraction: rope?.fraction ?? 1,
    scaling: rope?.scaling?.kind ?? ("none" as const),
    nKvHead: nKvHead ?? nHead,
    headDim: headDim ?? nEmbd / nHead,
    qkNorm,
    norm: norm.kind,
    mlp: mlp.kind,
    approximate: mlp.kind === "gelu" ? mlp.approximate : ("none" as const),
    "bias.qkv": bias.qkv,
    "bias.projection": bias.projection,
    "bias.mlp": bias.mlp,
  };
};

/** Values of a configuration that tell architectures apart, by name. */
export type Traits = ReturnType<typeof traitsOf>;
type Trait = keyof Traits;

/**
 * The traits that each field of a configuration becomes; a field with none may have any value in every architecture. A new
 * field does not compile before it is listed.
 */
const traitsOfFields: { readonly [Field in keyof Required<ModelConfig>]: readonly Trait[] } = {
  contextLength: [],
  nLayer: [],
  nHead: [],
  nKvHead: ["nKvHead"],
  headDim: ["headDim"],
  nEmbd: [],
  position: ["position", "fraction", "scaling"],
  qkNorm: ["qkNorm"],
  // Only causal models are saved: architecture-of.ts.
  mask: [],
  norm: ["norm"],
  mlp: ["mlp", "approximate"],
  bias: ["bias.qkv", "bias.projection", "bias.mlp"],
  tieEmbeddings: [],
  dropout: [],
  initStd: [],
  zeroProjections: [],
};

/** Traits without a neutral value: each architecture names its own. */
type Kind = "position" | "norm" | "mlp";

/** Values that a trait must have in an architecture that does not name it. */
const neutral = ({ nHead, nEmbd }: ModelConfig): Omit<Traits, Kind> => ({
  fraction: 1,
  scaling: "none",
  nKvHead: nHead,
  headDim: nEmbd / nHead,
  qkNorm: false,
  approximate: "none",
  "bias.qkv": false,
  "bias.projection": false,
  "bias.mlp": false,
});

/** Values of a trait that an architecture takes. */
type Taken<Value> = readonly Value[] | "any" | ((value: Value, config: ModelConfig) => boolean);

/** Values that an architecture takes, by trait. */
export type Takes = { readonly [T in Kind]: Taken<Traits[T]> } & { readonly [T in Trait]?: Taken<Traits[T]> };

/** A trait whose value an architecture does not take. */
export interface Misfit {
  readonly trait: Trait;
  /** A value that it takes, where it is one alone. */
  readonly instead: unknown;
}

/** The traits of a configuration that an architecture does not take, in their order. */
export const misfitsOf = (takes: Takes, config: ModelConfig): readonly Misfit[] => {
  const has = traitsOf(config);
  const plain: Partial<Traits> = neutral(config);
  const check = (trait: Trait): readonly Misfit[] => {
    const value = has[trait];
    const taken = (takes[trait] ?? [plain[trait]]) as Taken<unknown>;
    if (taken === "any") return [];
    if (typeof taken === "function") return taken(value, config) ? [] : [{ trait, instead: undefined }];
    return taken.includes(value) ? [] : [{ trait, instead: taken.length === 1 ? taken[0] : undefined }];
  };
  return Object.values(traitsOfFields).flat().flatMap(check);
};

/** A configuration in a few words: its kinds, and traits that are not neutral. */
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
