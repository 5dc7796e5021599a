/** A table of the export formats. */
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

/** Number formats of a directory's weights, by their short names. */
const directoryDtypes = { f32: "float32", bf16: "bfloat16" } as const satisfies Record<string, ProductDType>;

/** Number formats of an ONNX graph, by their short names. */
const onnxDtypes = { f32: "float32", int8: "int8" } as const satisfies Record<string, OnnxDType>;

/** Number format of a model's matrices, for all export formats. */
export type ExportDType = keyof typeof directoryDtypes | GgufEncoding | keyof typeof onnxDtypes;

/** Options for writing a model. */
export interface Writing<DType extends ExportDType = ExportDType> {
  /** The called function, for errors. */
  readonly where: string;
  readonly dtype: DType;
  /** Whether an earlier export with this name may be replaced. */
  readonly replace: boolean;
  /** Display name of the model in the file. */
  readonly name?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onNotice?: ((line: string) => void) | undefined;
  readonly onProgress?: ((phase: "read" | "write", bytes: number, all: number) => void) | undefined;
}

/** Facts about the written files. */
export interface Written {
  /** Size in bytes of the file, or of all files of a folder except the manifest. */
  readonly bytes: number;
  /** Number of weights. */
  readonly parameters: number;
  /** Matrices that were written in another number format than the chosen format. */
  readonly fallbacks: readonly GgufFallback[];
}

/** How a format writes an adapter alone. */
export interface AdapterForm<DType extends ExportDType = ExportDType> {
  /** Supported number formats of the adapter's matrices. The first format is the default. */
  readonly dtypes: readonly DType[];
  write(place: string, source: ModelSource, adapter: SourceAdapter, writing: Writing<DType>): Promise<Written>;
}

/** A format. */
export interface ExportFormat<DType extends ExportDType = ExportDType, AdapterDType extends ExportDType = ExportDType> {
  /** File name extension; "" for a folder. */
  readonly ending: string;
  /** Supported number formats of matrices. The first format is the default. */
  readonly dtypes: readonly DType[];
  /** Checks that `place` can be written, before a model is opened. @throws CheckpointError or ConfigError */
  check(place: string, replace: boolean): Promise<void>;
  /** Writes the model with its adapter merged, atomically. */
  write(place: string, source: ModelSource, writing: Writing<DType>): Promise<Written>;
  /** Writes an adapter alone. Null: the format cannot contain an adapter alone. */
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

/** The type does not include the number format, because `chooseForm` checks it at run time. */
const checked = <DType extends ExportDType, AdapterDType extends ExportDType>(
  one: ExportFormat<DType, AdapterDType>,
): ExportFormat => one as ExportFormat;

const table = { hf: checked(hf), gguf: checked(gguf), onnx: checked(onnx) };

/** Name of a format. */
export type ExportFormatName = keyof typeof table;

/** All formats by name. */
export const formats: Readonly<Record<ExportFormatName, ExportFormat>> = table;

export const formatNames = Object.keys(formats) as readonly ExportFormatName[];

/** All number formats of all export formats, without duplicates. */
export const exportDtypes: readonly ExportDType[] = [
  ...new Set(formatNames.flatMap((name): readonly ExportDType[] => formats[name].dtypes)),
];

/** The chosen number format and the function that writes the model. */
export interface ChosenForm {
  readonly dtype: ExportDType;
  /** @throws ConfigError if the caller wants to write an adapter alone but the model has no adapter. */
  readonly write: (place: string, source: ModelSource, writing: Omit<Writing, "dtype">) => Promise<Written>;
}

/** @throws ConfigError for a model without an adapter. */
const adapterOf = ({ adapter, base }: ModelSource, where: string): SourceAdapter => {
  if (adapter !== null) return adapter;
  throw new ConfigError({
    where: `${where}: adapterOnly`,
    must: "must be used with a LoRA adapter",
    got: `${base.where}, a whole model`,
    hint: "the folder of an adapter, or of a run that trained an adapter",
  });
};

/**
 * Chooses the number format and the writer of an export.
 * @param adapterOnly whether an adapter is written alone.
 * @param where the called function, for errors.
 * @throws ConfigError if the export format does not support the number format, or cannot contain an adapter alone.
 */
export const chooseForm = (
  name: ExportFormatName,
  asked: ExportDType | undefined,
  adapterOnly: boolean,
  where: string,
): ChosenForm => {
  const { dtypes, write, adapter } = formats[name];
  if (adapterOnly && adapter === null) {
    const must = "must be used with a format that can hold an adapter alone";
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
