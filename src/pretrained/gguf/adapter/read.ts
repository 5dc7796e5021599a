/** Reads LoRA adapters from GGUF files, the format of llama.cpp's `--lora`. */
import { CheckpointError } from "../../../core/errors/errors.ts";
import type { StoredTensor } from "../../../core/tensors/named-tensor.ts";
import type { ByteSource } from "../../../io/byte-source.ts";
import { type GgufFile, openGgufFile } from "../../../io/gguf/gguf.ts";
import type { GgufMetadata } from "../../../io/gguf/header.ts";
import { cursorOf } from "../../../io/gguf/values.ts";
import type { Fields } from "../../../models/architectures/common/gguf-values.ts";
import type { ModelConfig } from "../../../models/config.ts";
import { modulesOf } from "../../../models/hugging-face/adapter-modules.ts";
import type { LoraConfig } from "../../../models/lora/config.ts";
import { headsOf } from "../../../nn/causal-self-attention.ts";
import type { OpenedAdapter } from "../../adapter/opened.ts";
import { type AdapterShape, type AdapterTensors, type AdapterValues, readMatrices } from "../../adapter/read.ts";
import type { AdapterText } from "../../adapter/text.ts";
import { fieldsOf } from "../fields.ts";
import { inHalves } from "../interleaved.ts";
import { interleavedOf } from "../read-model.ts";
import { ggufFormOf } from "../write/fields.ts";
import { adapterKeys, idleKeys, isRotatedModule, matrixName, parseMatrixName } from "./names.ts";

/** Number of bytes at the start of a file that are searched for the type of the file. */
const firstBytes = 2 ** 12;

/**
 * Whether a file is an adapter, according to its first keys. Only the start of the file is read. The whole header of a
 * model is large, because it contains the vocabulary.
 */
export const saysAdapter = async (source: ByteSource): Promise<boolean> => {
  const bytes = await source.read(0, Math.min(source.size, firstBytes));
  const cursor = cursorOf(bytes, source.size, "");
  try {
    // Magic and version (8 bytes), then the number of tensors.
    cursor.u64();
    cursor.u64();
    const keys = cursor.u64();
    for (let i = 0; i < keys; i++) {
      const key = cursor.name("a key");
      const value = cursor.value(cursor.u32(), key);
      if (key === "general.type") return value === "adapter";
    }
  } catch {
    // The file is damaged, or the key is not within the first bytes. A damaged file causes an error when it is opened
    // later. If the file is not damaged, it is a model.
  }
  return false;
};

/** Throws if the file is not a LoRA adapter, or has unsupported settings. */
const checkKind = (metadata: GgufMetadata, fields: Fields): void => {
  const type = fields.text("general.type");
  if (type !== "adapter") fields.fail("general.type", "must be adapter", type ?? "model");
  const kind = fields.text(adapterKeys.kind);
  if (kind !== "lora") fields.fail(adapterKeys.kind, "must be lora", kind);
  const known: readonly string[] = [...Object.values(adapterKeys), ...idleKeys];
  for (const [key, value] of metadata) {
    if (!key.startsWith("adapter.") || known.includes(key)) continue;
    fields.fail(key, "must be absent: this kind of adapter is not supported", value);
  }
};

/** Chat template and end tokens from the metadata. */
const textOf = (fields: Fields): AdapterText => {
  const ids = ["eos", "eot", "eom"].map((name) => fields.id(`tokenizer.ggml.${name}_token_id`));
  return { template: fields.text("tokenizer.chat_template"), endTokens: ids.filter((id) => id !== undefined) };
};

/**
 * The shapes of the matrices give the ranks. The file has one alpha for all matrices. llama.cpp divides this alpha by
 * the rank of each matrix.
 */
const shapeOf = ({ tensors }: GgufFile, alpha: number): AdapterShape => {
  const ranks = new Map<string, number>();
  for (const { name, shape } of tensors) {
    const parsed = parseMatrixName(name);
    if (parsed?.matrix === "A") ranks.set(parsed.module, shape[0] ?? 0);
  }
  const rankOf = (module: string): number => ranks.get(module) ?? 1;
  return {
    dropout: 0,
    rank: Math.max(1, Math.min(...ranks.values())),
    rankOf,
    // If alpha is 0, llama.cpp multiplies by 1.
    scaleOf: (module) => (alpha === 0 ? 1 : alpha / rankOf(module)),
    targets: () => "unknown",
  };
};

/** The matrices for a model. The output channels of queries and keys are in Foretoken's order. */
const tensorsFor = (config: ModelConfig, { tensors }: GgufFile, where: string): AdapterTensors => {
  const form = ggufFormOf(config, where);
  const { headDim } = headsOf(config);
  const rotated = interleavedOf(form, config);
  const inOrder = (tensor: StoredTensor): StoredTensor => {
    const parsed = parseMatrixName(tensor.name);
    const isRotated = rotated !== 0 && parsed?.matrix === "B" && isRotatedModule(parsed.module);
    const [rows = 0] = tensor.shape;
    return isRotated && rows % headDim === 0 ? inHalves(tensor, headDim, rotated) : tensor;
  };
  return {
    tensors: tensors.map(inOrder),
    modules: modulesOf(config, form.mappings(config)),
    parse: parseMatrixName,
    nameOf: matrixName,
  };
};

/**
 * Opens the adapter in a GGUF file. The matrices are read later. The file names no base model and contains no hash of
 * the base weights.
 * @param source open file. If this function throws, it closes the file. If it does not throw, the caller closes the
 * file.
 * @param where the file's name in errors.
 * @throws CheckpointError with the file and the field that is damaged or not supported.
 */
export const openGgufAdapter = async (source: ByteSource, where: string): Promise<OpenedAdapter> => {
  try {
    const file = await openGgufFile(source, where);
    const fields = fieldsOf(file.metadata, where);
    checkKind(file.metadata, fields);
    const alpha = fields.real(adapterKeys.alpha) ?? 0;
    if (alpha < 0) fields.fail(adapterKeys.alpha, "must be 0 or above", alpha);
    const architecture = fields.text("general.architecture");
    const text = textOf(fields);
    const read = async (config: ModelConfig, expected?: LoraConfig): Promise<AdapterValues> => {
      const { name } = ggufFormOf(config, where);
      if (architecture !== name) {
        const must = `the adapter must have the model's architecture, ${name}`;
        throw new CheckpointError({ where, must, got: architecture ?? "none" });
      }
      const tensors = tensorsFor(config, file, where);
      const values = await readMatrices(config, shapeOf(file, alpha), tensors, source.size, where, expected);
      await source.end();
      return values;
    };
    return { where, peft: { base: null, revision: null }, text, source, read, checked: false, baseHash: null };
  } catch (error) {
    await source.close();
    throw error;
  }
};
