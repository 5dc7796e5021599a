/** The linear layers of a class of `transformers`, with the targets of LoRA that lie in each of them. */

import type { TensorMapping } from "../architectures/architecture.ts";
import { architectureOf } from "../architectures/architecture-of.ts";
import type { ModelConfig } from "../config.ts";
import type { LoraTarget } from "../lora/config.ts";
import { type BaseLayer, baseLayers } from "../lora/layout.ts";

/** One target in a module: some of its outputs. */
export interface ModulePart {
  readonly target: LoraTarget;
  /** Begin of the names of its matrices, as "blocks.0.attention.query". */
  readonly ours: string;
  /** The first of the module's outputs that are the target's, and their number. */
  readonly first: number;
  readonly outputs: number;
}

/** A linear layer as a form of files has it. */
export interface AdapterModule {
  /** Its name there, as "model.layers.0.self_attn.q_proj" or "blk.0.attn_q". */
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  /** In the order of their outputs; several where the form has them as one layer. */
  readonly parts: readonly ModulePart[];
}

/** A layer's parts, each with its first output. */
const placedParts = (layer: BaseLayer, block: string) => {
  let first = 0;
  return layer.parts.map(({ target, outputs }) => {
    const part = { target, ours: `blocks.${block}.${layer.branch}.${target}`, first, outputs };
    first += outputs;
    return part;
  });
};

/**
 * The linear layers of all blocks, in the order of a form's tensors.
 * @param mappings how a class of `transformers`, or a GGUF file, names the weights of `config`.
 */
export const modulesOf = (config: ModelConfig, mappings: readonly TensorMapping[]): readonly AdapterModule[] => {
  const layers = new Map(baseLayers(config).map((layer) => [layer.name, layer]));
  return mappings.flatMap(({ ours, theirs, part }) => {
    const [, block, name] = /^blocks\.(\d+)\.(.*)\.weight$/u.exec(ours) ?? [];
    const layer = layers.get(name ?? "");
    if (layer === undefined || block === undefined) return [];
    const parts = placedParts(layer, block);
    const all = parts.reduce((sum, { outputs }) => sum + outputs, 0);
    const { first, rows } = part ?? { first: 0, rows: all };
    return [
      {
        name: theirs.replace(/\.weight$/u, ""),
        inputs: layer.inputs,
        outputs: rows,
        parts: parts
          .filter((one) => one.first >= first && one.first < first + rows)
          .map((one) => ({ ...one, first: one.first - first })),
      },
    ];
  });
};

/** The modules of a model's class. */
export interface AdapterModules {
  readonly all: readonly AdapterModule[];
  /** Whether the class transposes weights: PEFT calls that fan_in_fan_out. */
  readonly transposed: boolean;
  /** The shortest name that means this module in every block and no other, as PEFT's target_modules has it: "q_proj". */
  readonly shortName: (module: AdapterModule) => string;
}

/** The name without the number of its block and what stands before it: "self_attn.q_proj". */
const inBlock = (name: string): string => name.replace(/^.*\.\d+\./u, "");
const lastWord = (name: string): string => name.slice(name.lastIndexOf(".") + 1);

/**
 * The linear layers of a model in its class of `transformers`.
 * @param fused whether the files of the model have Q, K and V as one layer, and gate and up, though its class need not.
 * @throws ConfigError for a model without a class.
 */
export const adapterModules = (config: ModelConfig, fused = false): AdapterModules => {
  const { mappings, fused: fusedMappings } = architectureOf(config).huggingFace;
  const chosen = ((fused ? fusedMappings : undefined) ?? mappings)(config);
  const all = modulesOf(config, chosen);
  const names = new Set(all.map(({ name }) => inBlock(name)));
  return {
    all,
    transposed: chosen.some(({ transposed }) => transposed === true),
    shortName: ({ name }) => {
      const full = inBlock(name);
      const last = lastWord(full);
      return [...names].filter((other) => lastWord(other) === last).length === 1 ? last : full;
    },
  };
};
