/** The formats that a model is written in for other programs: a table with an entry for each. */
import { ConfigError } from "../../core/errors/errors.ts";
import type { ProductDType } from "../../core/tensors/dtype.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { modelLayout } from "../../models/model.ts";
import { type AdapterEncoding, adapterEncodings } from "../gguf/adapter/write.ts";
import type { GgufFallback } from "../gguf/write/contents.ts";
import { type GgufEncoding, ggufEncodings } from "../gguf/write/encodings.ts";
import { checkGgufPlace, writeGguf, writeGgufAdapter } from "../gguf/write/save.node.ts";
import { sourceOf } from "../onnx/contents.ts";
import { writeOnnx } from "../onnx/save.node.ts";
import type { OnnxDType } from "../onnx/transformer.ts";
import { checkFreeFolder, writeAdapterDirectory, writeDirectory } from "./directory.node.ts";
import { loadedModel } from "./loaded.ts";
import type { ModelSource, SourceAdapter } from "./source.node.ts";

/** Element types of a directory's weights, by their short names. */
const directoryDtypes = { f32: "float32", bf16: "bfloat16" } as const satisfies Record<string, ProductDType>;

/** Element types of an ONNX folder's graph, by their short names. */
const onnxDtypes = { f32: "float32", int8: "int8" } as const satisfies Record<string, OnnxDType>;

/** Element type of a model's matrices in one of the formats. */
export type ExportDType = keyof typeof directoryDtypes | GgufEncoding | keyof typeof onnxDtypes;

/** How a model is written. */
export interface Writing<DType extends ExportDType = ExportDType> {
  /** The called function, for errors. */
  readonly where: string;
  readonly dtype: DType;
  /** Whether an earlier export of that name may be replaced. */
  readonly replace: boolean;
  /** Name of the model in the file, for people. */
  readonly name?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onNotice?: ((line: string) => void) | undefined;
  readonly onProgress?: ((phase: "read" | "write", bytes: number, all: number) => void) | undefined;
}

/** What was written. */
export interface Written {
  /** Length of the file, or of all files of a folder but for the manifest. */
  readonly bytes: number;
  /** Number of weights. */
  readonly parameters: number;
  /** Matrices in another element type than the chosen one. */
  readonly fallbacks: readonly GgufFallback[];
}

/** How a format holds an adapter that is written alone. */
export interface AdapterForm<DType extends ExportDType = ExportDType> {
  /** Element types of its matrices. The first one is the default. */
  readonly dtypes: readonly DType[];
  write(place: string, source: ModelSource, adapter: SourceAdapter, writing: Writing<DType>): Promise<Written>;
}

/** A format. */
export interface ExportFormat<DType extends ExportDType = ExportDType, AdapterDType extends ExportDType = ExportDType> {
  /** End of the names of its files; "" for a folder. */
  readonly ending: string;
  /** Element types of matrices. The first one is the default. */
  readonly dtypes: readonly DType[];
  /** Fails for a place that cannot be written, before a model is opened. @throws CheckpointError or ConfigError */
  check(place: string, replace: boolean): Promise<void>;
  /** Writes the model, an adapter in its weights; whole or not there. */
  write(place: string, source: ModelSource, writing: Writing<DType>): Promise<Written>;
  /** null: it has no form of an adapter alone. */
  readonly adapter: AdapterForm<AdapterDType> | null;
}

const hf: ExportFormat<keyof typeof directoryDtypes, "f32"> = {
  ending: "",
  dtypes: ["f32", "bf16"],
  check: checkFreeFolder,
  async write(place, source, { where, dtype, replace, signal, onProgress }) {
    const onRead = (bytes: number, all: number): void => onProgress?.("read", bytes, all);
    const writing = { where, dtype: directoryDtypes[dtype], replace, signal, onRead };
    const written = await writeDirectory(place, source, writing);
    return { ...written, fallbacks: [] };
  },
  adapter: {
    dtypes: ["f32"],
    async write(place, source, adapter, { where, replace, signal }) {
      return { ...(await writeAdapterDirectory(place, source, adapter, { where, replace, signal })), fallbacks: [] };
    },
  },
};

const gguf: ExportFormat<GgufEncoding, AdapterEncoding> = {
  ending: ".gguf",
  dtypes: ggufEncodings,
  check: checkGgufPlace,
  write: (place, source, { dtype, ...writing }) => writeGguf(place, source, { encoding: dtype, ...writing }),
  adapter: {
    dtypes: adapterEncodings,
    write: (place, source, adapter, { dtype, ...writing }) => writeGgufAdapter(place, source, adapter, dtype, writing),
  },
};

const onnx: ExportFormat<keyof typeof onnxDtypes, never> = {
  ending: "",
  dtypes: ["f32", "int8"],
  check: checkFreeFolder,
  async write(place, source, { where, dtype, replace, signal, onProgress }) {
    const { config, vocabSize } = source.facts;
    const weights = await source.readWeights(signal, (bytes, all) => onProgress?.("read", bytes, all));
    const lm = await loadedModel(source.facts, weights);
    try {
      const onWrite = (bytes: number, all: number): void => onProgress?.("write", bytes, all);
      const options = { dtype: onnxDtypes[dtype], signal, onProgress: onWrite };
      const { files } = await writeOnnx(place, sourceOf(lm), where, options, replace);
      const bytes = Object.values(files).reduce((sum, length) => sum + length, 0);
      return { bytes, parameters: modelLayout(config, vocabSize).count, fallbacks: [] };
    } finally {
      await lm.close();
    }
  },
  adapter: null,
};

/** A format whose element types are checked where they are chosen: in `chooseForm`. */
const checked = <DType extends ExportDType, AdapterDType extends ExportDType>(
  one: ExportFormat<DType, AdapterDType>,
): ExportFormat => one as ExportFormat;

const table = { hf: checked(hf), gguf: checked(gguf), onnx: checked(onnx) };

/** Name of a format. */
export type ExportFormatName = keyof typeof table;

/** All formats by name. */
export const formats: Readonly<Record<ExportFormatName, ExportFormat>> = table;

/** Names of all formats. */
export const formatNames = Object.keys(formats) as readonly ExportFormatName[];

/** All element types of all formats, each once. */
export const exportDtypes: readonly ExportDType[] = [
  ...new Set(formatNames.flatMap((name): readonly ExportDType[] => formats[name].dtypes)),
];

/** How a model is written in a format. */
export interface ChosenForm {
  readonly dtype: ExportDType;
  /** @throws ConfigError where an adapter is to be written alone, and the model has none. */
  readonly write: (place: string, source: ModelSource, writing: Omit<Writing, "dtype">) => Promise<Written>;
}

/** @throws ConfigError for a model without an adapter. */
const adapterOf = ({ adapter, base }: ModelSource, where: string): SourceAdapter => {
  if (adapter !== null) return adapter;
  throw new ConfigError({
    where: `${where}: adapterOnly`,
    must: "must go with a LoRA adapter",
    got: `${base.where}, a whole model`,
    hint: "the folder of an adapter, or of a run that trained one",
  });
};

/**
 * The form of an export.
 * @param adapterOnly whether an adapter is written alone.
 * @param where the called function, for errors.
 * @throws ConfigError for an element type that the format does not have, or a format without a form of adapters.
 */
export const chooseForm = (
  name: ExportFormatName,
  asked: ExportDType | undefined,
  adapterOnly: boolean,
  where: string,
): ChosenForm => {
  const { dtypes, write, adapter } = formats[name];
  if (adapterOnly && adapter === null) {
    const must = "must go with a format that has a form of adapters alone";
    throw new ConfigError({
      where: `${where}: adapterOnly`,
      must,
      got: name,
      hint: "the adapter merged into its model",
    });
  }
  const alone = adapterOnly ? adapter : null;
  const known = alone === null ? dtypes : alone.dtypes;
  const dtype = asked === undefined ? known[0] : known.find((one) => one === asked);
  if (dtype === undefined) {
    throw new ConfigError({
      where: `${where}: dtype`,
      must: `must be ${alternatives(known)} for ${adapterOnly ? `an adapter alone as ${name}` : name}`,
      got: String(asked),
    });
  }
  return {
    dtype,
    write: async (place, source, writing) =>
      alone === null
        ? write(place, source, { ...writing, dtype })
        : alone.write(place, source, adapterOf(source, where), { ...writing, dtype }),
  };
};
