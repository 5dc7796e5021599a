/** A model that uses the weights of another model and adds an adapter. */

import type { Tensor } from "../../autograd/tensor.ts";
import { checkModel, checkWhole } from "../../core/checks/check-arguments.ts";
import { parseConfig } from "../../core/checks/config.ts";
import { plainData } from "../../core/checks/plain-data.ts";
import { closeOnError } from "../../core/errors/close-on-error.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import type { BlockParameters } from "../../nn/block.ts";
import type { LinearParameters } from "../../nn/linear.ts";
import { initialise } from "../arena.ts";
import type { Model } from "../model.ts";
import { type Adapter, type BlockAdapters, createAdapter } from "./adapter.ts";
import { type LoraConfig, loraConfigSchema } from "./config.ts";

/**
 * A model with weights and low-rank adapters.
 * @experimental
 */
export interface AdaptedModel extends Model {
  /** The adapters. Training changes only the adapters. */
  readonly adapter: Adapter;
}

const adaptedBlock = (block: BlockParameters<Tensor>, adapters: BlockAdapters): BlockParameters<Tensor> => {
  const beside = (layer: LinearParameters<Tensor>, ...names: readonly string[]): LinearParameters<Tensor> => {
    const lora = names.map((name) => adapters.get(name)).find((found) => found !== undefined);
    return lora === undefined ? layer : { ...layer, lora };
  };
  const { attention, mlp } = block;
  return {
    ...block,
    attention: {
      ...attention,
      qkv: beside(attention.qkv, "attention.qkv"),
      projection: beside(attention.projection, "attention.projection"),
    },
    mlp: { up: beside(mlp.up, "mlp.up", "mlp.gateUp"), down: beside(mlp.down, "mlp.down") },
  };
};

/**
 * Creates a model that uses the weights of `base` and adds adapters that are all zero. `base` must stay open. `close`
 * frees only the adapters. If creation fails, it frees all memory.
 * @throws ConfigError for a target that the model lacks, or a base that already has adapters.
 */
export const adaptedModel = (base: Model, lora: LoraConfig): AdaptedModel => {
  if (base.adapter !== null) {
    throw new ConfigError({
      where: "lora",
      must: "the base model must have no adapters",
      got: "a model with adapters",
      hint: "the base model that these adapters were made for",
    });
  }
  const real = base.arena.storage.dtype === "float64" ? "float64" : "float32";
  const adapter = createAdapter(base.backend, base.config, lora, real);
  const blocks = base.parameters.blocks.map((block, i) => adaptedBlock(block, adapter.blocks[i] ?? new Map()));
  return {
    ...base,
    adapter,
    parameters: { ...base.parameters, blocks },
    rounded() {
      adapter.refresh();
      return base.rounded();
    },
    weightsChanged() {
      base.weightsChanged();
      adapter.arena.changes.count++;
    },
    close: adapter.close,
  };
};

/**
 * Creates a model for low-rank adaptation (LoRA, Hu et al. 2021). The model uses the weights of `base` and adds
 * adapters to the linear layers. Training changes only the adapters. An untrained model computes the same as `base`.
 * Several models may share a base.
 * @experimental
 * @param base must stay open while the model is used. The base may have only bfloat16 weights, or weights of 4 to 8
 * bits.
 * @param lora rank, alpha, dropout and targets; missing fields get their defaults.
 * @param seed a whole number from 0. The seed determines the initial matrices A. The matrices B start at zero.
 * @returns a model; the caller frees its adapters with `close`. `close` does not close the base.
 * @throws ConfigError naming the first invalid field.
 */
export const loraModel = (base: Model, lora: Partial<LoraConfig>, seed: number): AdaptedModel => {
  checkModel("loraModel: base", base);
  checkWhole("loraModel: seed", seed);
  const config = parseConfig(loraConfigSchema, plainData(lora, "lora"), "lora");
  const model = adaptedModel(base, config);
  const { layout, arena } = model.adapter;
  closeOnError(model.close, () => initialise(base.backend, layout, arena, seed));
  return model;
};
