/** Reads and writes rotary position embeddings in GGUF files. */
import { CheckpointError } from "../../../core/errors/errors.ts";
import type { LazyTensor } from "../../../core/tensors/named-tensor.ts";
import { show } from "../../../core/text/show.ts";
import { type ModelConfig, type RopeConfig, rotaryDimOf } from "../../config.ts";
import { f32, type GgufFacts, type GgufValue, ownKeys, text, u32 } from "./gguf-values.ts";

/**
 * The tensor of Llama 3's wavelength factors. A file contains these factors instead of the parameters from which they
 * are computed.
 */
export const frequencyFactors = "rope_freqs.weight";

type Scaling = NonNullable<RopeConfig["scaling"]>;

const defaultTheta = 10_000;

type Llama3 = Omit<Extract<Scaling, { readonly kind: "llama3" }>, "kind">;

/** Values of these parameters in all Llama 3 models. Only `factor` differs between models. */
const usual = { lowFrequency: 1, highFrequency: 4, originalContext: 8192 };

/** Maximum relative error of a factor after rounding to float32. */
const tolerance = 1e-5;

const areClose = (a: number, b: number): boolean => Math.abs(a - b) <= tolerance * Math.abs(b);

/** Llama 3's wavelength factors for `pairs` pairs of channels. */
const llama3Factors = (pairs: number, theta: number, scaling: Llama3): Float32Array => {
  const { factor, lowFrequency, highFrequency, originalContext } = scaling;
  return Float32Array.from({ length: pairs }, (_, i) => {
    const turns = (originalContext * theta ** (-i / pairs)) / (2 * Math.PI);
    const kept = Math.min(1, Math.max(0, (turns - lowFrequency) / (highFrequency - lowFrequency)));
    return 1 / (kept + (1 - kept) / factor);
  });
};

/**
 * Returns the scaling that gives these factors.
 * @param known parameters of the scaling except the factor, if the file contains them.
 * @throws CheckpointError if no supported scaling gives these factors.
 */
const scalingOfFactors = (
  factors: Float32Array,
  theta: number,
  where: string,
  known: Omit<Llama3, "factor"> = usual,
): Scaling => {
  const factor = factors.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  if (factors.every((value) => value === 1)) return { kind: "none" };
  const expected = llama3Factors(factors.length, theta, { ...known, factor });
  if (factor >= 1 && factors.every((value, i) => areClose(value, expected[i] ?? 0))) {
    return { kind: "llama3", factor, ...known };
  }
  throw new CheckpointError({
    where: `${where}: ${frequencyFactors}`,
    must: "must contain the factors of Llama 3's scaling",
    got: show(Array.from(factors.subarray(0, 100))),
  });
};

/** The scaling in the fields of a file, read as llama.cpp reads it. A factor without a type means linear scaling. */
const scalingOfFields = ({ fields, at }: GgufFacts): Scaling => {
  const type = fields.text(at("rope.scaling.type")) ?? "linear";
  if (type === "none") return { kind: "none" };
  if (type !== "linear") fields.fail(at("rope.scaling.type"), "must be none or linear", type);
  const attention = fields.real(at("rope.scaling.attn_factor")) ?? 1;
  if (attention !== 1) fields.fail(at("rope.scaling.attn_factor"), "must be 1", attention);
  const factor = fields.real(at("rope.scaling.factor")) ?? fields.real(at("rope.scale_linear")) ?? 0;
  // llama.cpp writes 0 for none.
  return factor === 0 || factor === 1 ? { kind: "none" } : { kind: "linear", factor };
};

/**
 * Returns the fraction of a head that is rotated, for a number of rotated channels. The fraction is chosen so that
 * rounding never gives fewer channels.
 */
const fractionOf = (rotated: number, headDim: number): number => {
  const fraction = rotated / headDim;
  return Math.floor(headDim * fraction) === rotated ? fraction : (rotated + 0.5) / headDim;
};

/** Number of channels of a head that are rotated. */
const rotatedChannels = ({ fields, at }: GgufFacts, headDim: number): number => {
  const key = at("rope.dimension_count");
  const rotated = fields.count(key) ?? headDim;
  return rotated <= headDim && rotated % 2 === 0
    ? rotated
    : fields.fail(key, `must be even and at most ${headDim}, the number of channels of a head`, rotated);
};

/**
 * Reads the rotary position embeddings of a model.
 * @throws CheckpointError for an unsupported scaling.
 */
export const readRope = async (file: GgufFacts, headDim: number): Promise<RopeConfig> => {
  const { fields, at, tensors, where } = file;
  const theta = fields.real(at("rope.freq_base")) ?? defaultTheta;
  const rotated = rotatedChannels(file, headDim);
  const scaling = scalingOfFields(file);
  const position = {
    ...{ kind: "rope" as const, theta },
    ...(rotated === headDim ? {} : { fraction: fractionOf(rotated, headDim) }),
  };
  const factors = tensors.get(frequencyFactors);
  if (factors === undefined) return { ...position, ...(scaling.kind === "none" ? {} : { scaling }) };
  const count = factors.shape.length === 1 ? factors.shape[0] : 0;
  if (count !== rotated / 2) fields.fail(frequencyFactors, `must have shape [${rotated / 2}]`, factors.shape);
  const byFactors = scalingOfFactors(await factors.readRows(0, 1), theta, where, {
    lowFrequency: fields.real(ownKeys.lowFrequency) ?? usual.lowFrequency,
    highFrequency: fields.real(ownKeys.highFrequency) ?? usual.highFrequency,
    originalContext: fields.count(ownKeys.originalContext) ?? usual.originalContext,
  });
  if (scaling.kind !== "none" && byFactors.kind !== "none") {
    fields.fail(frequencyFactors, `must be absent in a file that has ${at("rope.scaling")}`, scaling.kind);
  }
  const both = byFactors.kind === "none" ? scaling : byFactors;
  return { ...position, ...(both.kind === "none" ? {} : { scaling: both }) };
};

/** Keys and values of rotary position embeddings. Empty if the model has learned positions. */
export const ropeValues = (config: ModelConfig): Readonly<Record<string, GgufValue>> => {
  const { position } = config;
  if (position.kind !== "rope") return {};
  const { theta, scaling = { kind: "none" } } = position;
  return {
    "rope.dimension_count": u32(rotaryDimOf(config, position)),
    "rope.freq_base": f32(theta),
    ...(scaling.kind === "linear"
      ? { "rope.scaling.type": text("linear"), "rope.scaling.factor": f32(scaling.factor) }
      : {}),
  };
};

/** Parameters of Llama 3's scaling, by full key. Only Foretoken reads these parameters. */
export const ownRopeValues = ({ position }: ModelConfig): Readonly<Record<string, GgufValue>> => {
  const scaling = position.kind === "rope" ? position.scaling : undefined;
  return scaling?.kind !== "llama3"
    ? {}
    : {
        [ownKeys.lowFrequency]: f32(scaling.lowFrequency),
        [ownKeys.highFrequency]: f32(scaling.highFrequency),
        [ownKeys.originalContext]: u32(scaling.originalContext),
      };
};

/**
 * Tensors of a file that are not weights: the wavelength factors of Llama 3. llama.cpp reads these factors, not the
 * parameters.
 */
export const extraTensors = (config: ModelConfig): readonly LazyTensor[] => {
  const { position } = config;
  if (position.kind !== "rope" || position.scaling?.kind !== "llama3") return [];
  const factors = llama3Factors(rotaryDimOf(config, position) / 2, position.theta, position.scaling);
  return [{ name: frequencyFactors, shape: [factors.length], read: async () => factors }];
};
