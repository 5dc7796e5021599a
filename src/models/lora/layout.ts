/** The parameters of a LoRA adapter: names, shapes, places. */

import { ConfigError } from "../../core/errors/errors.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { headsOf } from "../../nn/causal-self-attention.ts";
import { mlpLayers } from "../../nn/mlp.ts";
import type { Declare } from "../../nn/parameters.ts";
import { type ArenaLayout, arenaLayout } from "../arena.ts";
import type { ModelConfig } from "../config.ts";
import type { LoraConfig, LoraTarget } from "./config.ts";

/** One target in a layer of the model: some of the layer's outputs. */
interface Part {
  readonly target: LoraTarget;
  readonly outputs: number;
}

/** A linear layer as the model computes it: several targets that read one input are one layer, one above the other. */
export interface BaseLayer {
  /** Its name in a block, as "attention.qkv". */
  readonly name: string;
  /** The part of the name that its targets share, as "attention". */
  readonly branch: "attention" | "mlp";
  readonly inputs: number;
  readonly parts: readonly Part[];
}

/** The linear layers of each block of a model. */
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

/** The matrices of one target. */
export interface LoraPart<P> {
  /** The first of the layer's outputs that are the target's, and their number. */
  readonly first: number;
  readonly outputs: number;
  /** [rank, in] */
  readonly a: P;
  /** [out, rank] */
  readonly b: P;
}

/** The adapters of one layer of the model. */
export interface LoraLayer<P> {
  /** Outputs of the layer, those without an adapter included. */
  readonly outputs: number;
  readonly parts: readonly LoraPart<P>[];
}

/** The adapters of a block, by the name of the layer in it. A layer without one is not there. */
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
 * Names every matrix of an adapter. First the matrices A of a layer, directly one behind the other: so they are one
 * matrix too, which multiplies the layer's input once.
 * A is drawn as PEFT draws it (Kaiming uniform with a = √5: ±1/√in), B starts at zero: so an adapter begins as nothing.
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
 * The parameters of an adapter by name, shape and place, without making it: `blocks.0.attention.query.loraA` [rank, in]
 * and `.loraB` [out, rank] for each target of each block.
 * @throws ConfigError for a target that the model lacks.
 */
export const loraLayout = (config: ModelConfig, lora: LoraConfig): ArenaLayout =>
  arenaLayout((declare) => declareLora(declare, config, lora));
