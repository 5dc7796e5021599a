/** Makes the contents of a new GGUF file from a model or from another GGUF file. */
import { CheckpointError } from "../../../core/errors/errors.ts";
import type { StoredTensor } from "../../../core/tensors/named-tensor.ts";
import { sizeOf } from "../../../core/tensors/shape.ts";
import type { Importance } from "../../../io/gguf/encoders/weights.ts";
import type { GgufFile, GgufTensor } from "../../../io/gguf/gguf.ts";
import { i32, pairBytes, type TypedValue, text, u32 } from "../../../io/gguf/metadata.ts";
import type { GgufContents, TensorToWrite } from "../../../io/gguf/write.ts";
import { extraTensors } from "../../../models/architectures/common/gguf-rope.ts";
import type { ReadValues } from "../../../models/arena.ts";
import { findUnreal } from "../../../models/hugging-face/find-unreal.ts";
import { byName, placeOf } from "../../../models/hugging-face/hugging-face.ts";
import { modelLayout } from "../../../models/model.ts";
import { headsOf } from "../../../nn/causal-self-attention.ts";
import type { Pretrained } from "../../pretrained.ts";
import { isRotated } from "../gguf.ts";
import { inPairs } from "../interleaved.ts";
import { interleavedOf } from "../read-model.ts";
import type { Calibrated } from "./calibrate.ts";
import { chooseEncoding, type EncodingChoice, encoderOf, fileTypes, type GgufEncoding } from "./encodings.ts";
import { ggufFormOf, modelFields, nameField } from "./fields.ts";
import { textFields } from "./text.ts";

/**
 * A matrix that was written in another encoding than the chosen encoding. The row length of the matrix is not a
 * multiple of the chosen encoding's block size.
 */
export interface GgufFallback {
  /** Name of the tensor in the file. */
  readonly tensor: string;
  /** Row length. */
  readonly width: number;
  /** The chosen encoding. */
  readonly wanted: GgufEncoding;
  /** The encoding that was used instead. */
  readonly encoding: GgufEncoding;
}

/** Contents of a file, with facts for the caller. */
export interface PlannedFile {
  readonly contents: GgufContents;
  readonly fallbacks: readonly GgufFallback[];
  /** Number of the model's weights. */
  readonly parameters: number;
  /** How the calibration was used. Undefined without a calibration. */
  readonly calibration: UsedGgufCalibration | undefined;
}

/** How a calibration was used. */
export interface UsedGgufCalibration {
  /** Number of matrices that were encoded with the importances of their columns. */
  readonly matrices: number;
  /** Names of layers' matrices without importances. Their columns count equally. */
  readonly without: readonly string[];
}

/** A tensor to encode. If the source file already uses the wanted encoding, the tensor's bytes are copied. */
type Source = StoredTensor & Partial<Pick<GgufTensor, "encoding" | "readBytes">>;

/** Maximum number of values that are encoded at once. */
const pieceLength = 2 ** 20;

const checkFinite = (values: Float32Array, name: string, where: string): void => {
  const bad = findUnreal(values);
  if (bad === -1) return;
  throw new CheckpointError({ where, must: `${name} must hold finite numbers`, got: String(values[bad]) });
};

const checkSize = (values: Float32Array, name: string, encoding: GgufEncoding, where: string): void => {
  const { largest } = encoderOf(encoding);
  const large = values.find((value) => Math.abs(value) > largest);
  if (large === undefined) return;
  const must = `${name} must hold numbers of at most ${largest} in magnitude for ${encoding}`;
  const hint = Math.abs(large) > encoderOf("bf16").largest ? "f32" : "bf16 or f32";
  throw new CheckpointError({ where, must, got: String(large), hint });
};

/** Yields a tensor's bytes in an encoding, a few rows at a time. */
export async function* encodedPieces(
  { name, shape, readRows, readBytes, ...stored }: Source,
  encoding: GgufEncoding,
  where: string,
  importance: Importance = null,
): AsyncGenerator<Uint8Array, void, undefined> {
  const rows = shape.length < 2 ? 1 : (shape[0] ?? 1);
  const step = Math.max(1, Math.floor(pieceLength / Math.max(1, sizeOf(shape) / rows)));
  const { encode, name: encoderName } = encoderOf(encoding);
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row);
    const values = await readRows(row, count);
    checkFinite(values, name, where);
    // Copy bytes that already have the encoding, because encoding them again could change values.
    if (readBytes !== undefined && stored.encoding === encoderName) {
      yield await readBytes(row, count);
      continue;
    }
    checkSize(values, name, encoding, where);
    yield encode(values, importance);
  }
}

const plan = (
  sources: readonly Source[],
  choice: EncodingChoice,
  where: string,
  calibrated: Calibrated | undefined,
) => {
  const names = new Set(sources.map(({ name }) => name));
  const fallbacks: GgufFallback[] = [];
  const without: string[] = [];
  let matrices = 0;
  /** Importances of a matrix's columns. An embedding table has none, except if it is also the head. */
  const importanceOf = (name: string, encoding: GgufEncoding): Importance => {
    if (calibrated === undefined || encoderOf(encoding).blockLength === 1) return null;
    const found = calibrated.importances.get(name);
    if (found !== undefined) matrices++;
    else if (name !== "token_embd.weight") without.push(name);
    return found ?? null;
  };
  const tensors = sources.map((source): TensorToWrite => {
    const { name, shape } = source;
    const { wanted, encoding } = chooseEncoding(name, shape, !names.has("output.weight"), choice);
    if (wanted !== encoding) fallbacks.push({ tensor: name, width: shape.at(-1) ?? 1, wanted, encoding });
    const importance = importanceOf(name, encoding);
    return {
      name,
      shape,
      encoder: encoderOf(encoding),
      pieces: () => encodedPieces(source, encoding, where, importance),
    };
  });
  return { tensors, fallbacks, calibration: calibrated && { matrices, without } };
};

/** Metadata about the calibration, with llama.cpp's keys. */
const calibrationFields = (
  calibrated: Calibrated | undefined,
  used: UsedGgufCalibration | undefined,
): Readonly<Record<string, TypedValue>> =>
  calibrated === undefined || used === undefined
    ? {}
    : {
        "quantize.imatrix.dataset": text(calibrated.text),
        "quantize.imatrix.entries_count": i32(used.matrices),
        "quantize.imatrix.chunks_count": i32(calibrated.windows),
      };

/** Metadata fields that depend on the chosen encoding. */
const formFields = ({ encoding }: EncodingChoice) => ({
  "general.file_type": u32(fileTypes[encoding]),
  "general.quantization_version": u32(2),
});

const isOfForm = (key: string): boolean =>
  key === "general.alignment" || key.startsWith("split.") || Object.hasOwn(formFields({ encoding: "f32" }), key);

/**
 * Contents of a file with the same model in another encoding. Other metadata stays the same. Matrices that already have
 * the encoding are copied.
 * @param file a file with a supported model. The file must stay open while the contents are read.
 */
export const recodedFile = (
  file: GgufFile,
  choice: EncodingChoice,
  where: string,
  calibrated?: Calibrated,
): PlannedFile => {
  const { tensors, fallbacks, calibration } = plan(file.tensors, choice, where, calibrated);
  const isReplaced = (key: string): boolean =>
    isOfForm(key) || (calibrated !== undefined && key.startsWith("quantize.imatrix."));
  const metadata = new Map([...file.pairs].filter(([key]) => !isReplaced(key)));
  const fields = { ...formFields(choice), ...calibrationFields(calibrated, calibration) };
  for (const [key, value] of Object.entries(fields)) metadata.set(key, pairBytes(key, value));
  const parameters = file.tensors.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  return { contents: { metadata, tensors }, fallbacks, parameters, calibration };
};

/** Everything about a model except its weights. */
export type ModelFacts = Omit<Pretrained, "weights" | "sha256" | "checked">;

/**
 * Contents of a GGUF file with the model.
 * @param name display name of the model.
 * @param readWeights reads weights in the layout of `modelLayout`. The function is called only when the contents are
 * read.
 * @throws ConfigError if llama.cpp does not support the model or its tokenizer.
 */
export const modelFile = (
  model: ModelFacts,
  name: string,
  readWeights: ReadValues,
  choice: EncodingChoice,
  calibrated?: Calibrated,
): PlannedFile => {
  const { config, vocabSize, where } = model;
  const form = ggufFormOf(config, where);
  const layout = modelLayout(config, vocabSize);
  const places = byName(layout);
  const { headDim } = headsOf(config);
  const rotated = interleavedOf(form, config);
  const sources = form.mappings(config).map((mapping): Source => {
    const place = placeOf(places, mapping);
    const shape = place?.shape ?? [mapping.absent ?? 0];
    const width = shape.length < 2 ? sizeOf(shape) : (shape[1] ?? 1);
    const stored: StoredTensor = {
      ...{ name: mapping.theirs, shape, bytes: 4 * sizeOf(shape) },
      readRows: async (first, count) =>
        place === undefined
          ? new Float32Array(count * width)
          : readWeights(place.offset + first * width, count * width),
    };
    return rotated !== 0 && isRotated.test(mapping.theirs) ? inPairs(stored, headDim, rotated) : stored;
  });
  const extras = extraTensors(config).map(
    ({ name: theirs, shape, read: readAll }): Source => ({
      name: theirs,
      shape,
      bytes: 4 * sizeOf(shape),
      readRows: readAll,
    }),
  );
  const { tensors, fallbacks, calibration } = plan([...sources, ...extras], choice, where, calibrated);
  const { tokens, fields: ofText } = textFields(model);
  const fields = {
    ...{ ...modelFields(config, vocabSize, where), ...nameField(name, tokens) },
    ...{ ...ofText, ...formFields(choice), ...calibrationFields(calibrated, calibration) },
  };
  const metadata = new Map(Object.entries(fields).map(([key, value]) => [key, pairBytes(key, value)] as const));
  return { contents: { metadata, tensors }, fallbacks, parameters: layout.count, calibration };
};
