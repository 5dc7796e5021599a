/** Parameters of a LoRA adapter: their names, shapes and offsets. */

import { ConfigError } from "../../core/errors/errors.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { headsOf } from "../../nn/causal-self-attention.ts";
import { mlpLayers } from "../../nn/mlp.ts";
import type { Declare } from "../../nn/parameters.ts";
import { type ArenaLayout, arenaLayout } from "../arena.ts";
import type { ModelConfig } from "../config.ts";
import type { LoraConfig, LoraTarget } from "./config.ts";

/** One target in a layer of the model: a range of the layer's outputs. */
interface Part {
  readonly target: LoraTarget;
  readonly outputs: number;
}

/** A linear layer as the model computes it. Targets that read the same input are one layer: their rows are stacked. */
export interface BaseLayer {
  /** Name of the layer in a block, for example "attention.qkv". */
  readonly name: string;
  /** Prefix of the names of all targets in the layer, for example "attention". */
  readonly branch: "attention" | "mlp";
  readonly inputs: number;
  readonly parts: readonly Part[];
}

/** Linear layers of each block of a model. */
export const baseLayers = (config: ModelConfig): readonly BaseLayer[] => {
  const { nEmbd, mlp } = config;
  const { heads, keyHeads, headDim } = headsOf(config);
  const { first, hidden } = mlpLayers(mlp, nEmbd);
  const up: Part = { target: "up", outputs: hidden };
  const gate: Part = { target: "gate", outputs: hidden };
  return [
    {
      name: "attention.qkv",
      branch: "attention",
      inputs: nEmbd,
      parts: [
        { target: "query", outputs: heads * headDim },
        { target: "key", outputs: keyHeads * headDim },
        { target: "value", outputs: keyHeads * headDim },
      ],
    },
    {
      name: "attention.projection",
      branch: "attention",
      inputs: heads * headDim,
      parts: [{ target: "projection", outputs: nEmbd }],
    },
    { name: `mlp.${first}`, branch: "mlp", inputs: nEmbd, parts: first === "gateUp" ? [gate, up] : [up] },
    { name: "mlp.down", branch: "mlp", inputs: hidden, parts: [{ target: "down", outputs: nEmbd }] },
  ];
};

/** Matrices of one target. */
export interface LoraPart<P> {
  /** First output of the target in the layer, and the target's number of outputs. */
  readonly first: number;
  readonly outputs: number;
  /** [rank, in] */
  readonly a: P;
  /** [out, rank] */
  readonly b: P;
}

/** Adapters of one layer of the model. */
export interface LoraLayer<P> {
  /** Number of outputs of the layer, including outputs without an adapter. */
  readonly outputs: number;
  readonly parts: readonly LoraPart<P>[];
}

/** Adapters of a block, by layer name. A layer without an adapter has no entry. */
export type LoraBlock<P> = ReadonlyMap<string, LoraLayer<P>>;

/** @throws ConfigError for a target that the model lacks. */
const checkTargets = (config: ModelConfig, { targets }: LoraConfig): void => {
  const known = baseLayers(config).flatMap(({ parts }) => parts.map(({ target }) => target));
  const lacking = targets?.find((target) => !known.includes(target));
  if (lacking === undefined) return;
  throw new ConfigError({
    where: "lora.targets",
    must: `must be layers of the model: ${alternatives(known)}`,
    got: lacking,
  });
};

/**
 * Declares every matrix of an adapter. The matrices A of a layer come first and are adjacent, so that one product
 * multiplies the layer's input by all of them. The initial values of A are as in PEFT (Kaiming uniform with a = √5:
 * ±1/√in). B is zero at first, so a new adapter does not change the model.
 */
export const declareLora = <P>(declare: Declare<P>, config: ModelConfig, lora: LoraConfig): readonly LoraBlock<P>[] => {
  checkTargets(config, lora);
  const { rank, targets } = lora;
  const isTarget = ({ target }: Part): boolean => targets?.includes(target) ?? true;
  const layers = baseLayers(config).filter(({ parts }) => parts.some(isTarget));
  return Array.from({ length: config.nLayer }, (_, block) => {
    const declareLayer = ({ branch, inputs, parts }: BaseLayer): LoraLayer<P> => {
      const init = { kind: "uniform", bound: 1 / Math.sqrt(inputs) } as const;
      let outputs = 0;
      const placed = parts.map((part) => {
        const first = outputs;
        outputs += part.outputs;
        return { ...part, first, name: `blocks.${block}.${branch}.${part.target}` };
      });
      const chosen = placed.filter(isTarget);
      const as = chosen.map(({ name }, i) =>
        declare({
          name: `${name}.loraA`,
          shape: [rank, inputs],
          init,
          stacked: [rank],
          ...(i > 0 && { adjoins: true }),
        }),
      );
      return {
        outputs,
        parts: chosen.map(({ name, first, outputs }, i) => {
          const b = {
            name: `${name}.loraB`,
            shape: [outputs, rank],
            init: { kind: "zeros" },
            stacked: [outputs],
          } as const;
          return { first, outputs, a: as[i] as P, b: declare(b) };
        }),
      };
    };
    return new Map(layers.map((layer) => [layer.name, declareLayer(layer)]));
  });
};

/**
 * Name, shape and offset of each parameter of an adapter. No memory is allocated. For each target of each block there
 * are `blocks.0.attention.query.loraA` [rank, in] and `.loraB` [out, rank].
 * @throws ConfigError for a target that the model lacks.
 */
export const loraLayout = (config: ModelConfig, lora: LoraConfig): ArenaLayout =>
  arenaLayout((declare) => declareLora(declare, config, lora));
