import { join } from "node:path";
import { architectureOf } from "../../models/architectures/architecture-of.ts";
import type { ModelConfig } from "../../models/config.ts";
import { loraLayout } from "../../models/lora/layout.ts";
import { modelLayout } from "../../models/model.ts";
import { differsFromKept } from "../../pretrained/adapter/base/as-trained.node.ts";
import { isBase } from "../../pretrained/adapter/base/check.ts";
import { isWhole, openWhole } from "../../pretrained/adapter/base/find.node.ts";
import { basePath, openAdapter } from "../../pretrained/adapter/open.node.ts";
import type { OpenedAdapter } from "../../pretrained/adapter/opened.ts";
import { namesAdapter } from "../../pretrained/adapter/place.node.ts";
import type { OpenedPretrained } from "../../pretrained/files/directory.node.ts";
import type { HubOptions } from "../../pretrained/files/hub.node.ts";
import { openPretrained } from "../../pretrained/open.node.ts";
import { inModelFlags, type ModelParts, modelDirectory } from "./checkpoint-path.ts";

/** Facts about a model. The facts are read without loading the weights. */
export interface ModelFacts {
  readonly path: string;
  /** Class name in `transformers`. */
  readonly architecture: string;
  readonly config: ModelConfig;
  /** Number of parameters. */
  readonly parameters: number;
  /** Rows of the embedding. */
  readonly vocabSize: number;
  /** Null if the model has no tokenizer. */
  readonly tokenizer: { readonly kind: string; readonly vocabSize: number } | null;
  readonly endTokens: readonly number[];
  readonly chatTemplate: boolean;
  /** Element types in the files. */
  readonly dtypes: readonly string[];
  /** Bytes of the files with weights. */
  readonly bytes: number;
  /** Whether a manifest with checksums exists. */
  readonly checked: boolean;
  /** The LoRA adapter, or null if the model has no adapter. */
  readonly adapter: AdapterFacts | null;
}

/** Facts about an adapter. */
export interface AdapterFacts {
  readonly path: string;
  readonly rank: number;
  readonly alpha: number;
  /** Names of the layers that the adapter changes. */
  readonly targets: readonly string[];
  /** Number of parameters in the adapter's file. */
  readonly parameters: number;
  /** Bytes of the file. */
  readonly bytes: number;
  readonly checked: boolean;
  /**
   * Whether the model has exactly the weights that the adapter was trained on. Null if the adapter does not identify
   * these weights.
   */
  readonly isBase: boolean | null;
}

/** Reads and checks an adapter, including its numbers. */
const adapterFacts = async (adapter: OpenedAdapter, opened: OpenedPretrained): Promise<AdapterFacts> => {
  const { where, read, source, checked, baseHash } = adapter;
  const { config } = opened;
  const { lora } = await read(config);
  const { rank, alpha, targets = [] } = lora;
  return {
    ...{ path: where, rank, alpha, targets, parameters: loraLayout(config, lora).count, bytes: source.size, checked },
    // The manifest alone would not show damaged weights, so the files are also checked.
    isBase:
      baseHash === null
        ? null
        : (await isBase(opened, adapter)) &&
          (await isWhole(opened)) &&
          !(await differsFromKept(opened, join(where, ".."), baseHash)),
  };
};

const factsOf = async (opened: OpenedPretrained, adapter: OpenedAdapter | null): Promise<ModelFacts> => {
  const { where, config, vocabSize, tokenizer, endTokens, chatTemplate, dtypes, weightFiles, checked } = opened;
  try {
    return {
      path: where,
      architecture: architectureOf(config).huggingFace.className,
      config,
      parameters: modelLayout(config, vocabSize).count,
      vocabSize,
      tokenizer: tokenizer.kind === "none" ? null : { kind: tokenizer.kind, vocabSize: tokenizer.vocabSize },
      endTokens,
      chatTemplate: chatTemplate !== null,
      dtypes,
      bytes: weightFiles.reduce((sum, file) => sum + file.bytes, 0),
      checked,
      adapter: adapter === null ? null : await adapterFacts(adapter, opened),
    };
  } finally {
    await opened.weights.close();
  }
};

/**
 * Opens the model with the weights that an adapter was trained on. If they are not found, the base model in the
 * adapter's configuration is opened.
 */
const openAnyBase = async (adapter: OpenedAdapter, base: string | undefined, options: HubOptions) =>
  (base === undefined ? (await openWhole(adapter))?.opened : undefined) ??
  openPretrained(base === undefined ? await basePath(adapter) : await modelDirectory(base), options);

/**
 * Facts about the model at `path` (a run, a directory or `hf:org/name`). If `path` is an adapter or an adapter is
 * given, the facts include the adapter.
 * @throws CheckpointError that names the file and its fault.
 */
export const readModelFacts = async (
  path: string,
  { adapter, base }: Pick<ModelParts, "adapter" | "base">,
  onNotice: (line: string) => void,
): Promise<ModelFacts> => {
  const directory = await modelDirectory(path);
  try {
    const isAdapter = await namesAdapter(directory, { adapter, base });
    if (!isAdapter && adapter === undefined) return await factsOf(await openPretrained(directory, { onNotice }), null);
    const opened = await openAdapter(adapter === undefined ? directory : await modelDirectory(adapter));
    try {
      const model = isAdapter
        ? await openAnyBase(opened, base, { onNotice })
        : await openPretrained(directory, { onNotice });
      return await factsOf(model, opened);
    } finally {
      await opened.source.close();
    }
  } catch (error) {
    throw inModelFlags(error);
  }
};
