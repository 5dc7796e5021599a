/** Linear layers of a `transformers` class, and the LoRA targets in each of these layers. */

import type { TensorMapping } from "../architectures/architecture.ts";
import { architectureOf } from "../architectures/architecture-of.ts";
import type { ModelConfig } from "../config.ts";
import type { LoraTarget } from "../lora/config.ts";
import { type BaseLayer, baseLayers } from "../lora/layout.ts";

/** One target of LoRA in a linear layer: a range of the layer's outputs. */
export interface ModulePart {
  readonly target: LoraTarget;
  /** Prefix of the names of the target's matrices A and B, for example "blocks.0.attention.query". */
  readonly ours: string;
  /** First output of the target in the layer, and the target's number of outputs. */
  readonly first: number;
  readonly outputs: number;
}

/** A linear layer as a file format stores it. */
export interface AdapterModule {
  /** Name in the file, for example "model.layers.0.self_attn.q_proj" or "blk.0.attn_q". */
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  /** The targets in the order of outputs. A fused layer has several targets. */
  readonly parts: readonly ModulePart[];
}

/** The parts of a layer, and the first output of each part. */
const placedParts = (layer: BaseLayer, block: string) => {
  let first = 0;
  return layer.parts.map(({ target, outputs }) => {
    const part = { target, ours: `blocks.${block}.${layer.branch}.${target}`, first, outputs };
    first += outputs;
    return part;
  });
};

/**
 * Linear layers of all blocks, in the order in which the format lists tensors.
 * @param mappings names of the weights of `config` in a `transformers` class or a GGUF file.
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

/** Linear layers of a class of `transformers`. */
export interface AdapterModules {
  readonly all: readonly AdapterModule[];
  /** Whether the class stores transposed weights (`fan_in_fan_out` in PEFT). */
  readonly transposed: boolean;
  /**
   * The shortest name that matches this layer in every block and no other layer. The name is used in PEFT's
   * target_modules, for example "q_proj".
   */
  readonly shortName: (module: AdapterModule) => string;
}

/** The name without the prefix that ends with the number of the block, for example "self_attn.q_proj". */
const inBlock = (name: string): string => name.replace(/^.*\.\d+\./u, "");
const lastWord = (name: string): string => name.slice(name.lastIndexOf(".") + 1);

/**
 * Linear layers of a model in the `transformers` class of the model.
 * @param fused whether one layer of the model's files computes Q, K and V, and one layer computes gate and up. The
 * class itself may have separate layers.
 * @throws ConfigError if no class fits the model.
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
