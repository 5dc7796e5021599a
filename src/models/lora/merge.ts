/** Merges an adapter into the weights: W + (alpha / rank)·B·A. */
import { checkModel } from "../../core/checks/check-arguments.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { arenaReader, type ReadValues } from "../arena.ts";
import type { ModelConfig } from "../config.ts";
import { checkTrainable, type Model } from "../model.ts";
import type { Adapter } from "./adapter.ts";
import { loraScale } from "./config.ts";
import { baseLayers } from "./layout.ts";

/** Number of rows of a weight that are on the host at a time. */
const rowsAtATime = 256;

/**
 * Outputs of a weight, beginning at output `first`. `name` is the prefix of the names of the matrices A and B for these
 * outputs.
 */
interface Place {
  readonly weight: string;
  readonly first: number;
  readonly name: string;
}

const placesOf = (config: ModelConfig): readonly Place[] =>
  Array.from({ length: config.nLayer }, (_, block) =>
    baseLayers(config).flatMap(({ name, branch, parts }) => {
      let next = 0;
      return parts.map(({ target, outputs }) => {
        const first = next;
        next += outputs;
        return { weight: `blocks.${block}.${name}.weight`, first, name: `blocks.${block}.${branch}.${target}` };
      });
    }),
  ).flat();

/** Adds scale · B·A to rows of a weight. Each sum is computed in double precision and rounded once. */
const addProduct = (
  rows: Float32Array,
  b: Float32Array,
  a: Float32Array,
  { rank, scale }: { readonly rank: number; readonly scale: number },
): void => {
  const inputs = a.length / rank;
  const sums = new Float64Array(inputs);
  for (let row = 0; row < b.length / rank; row++) {
    const to = rows.subarray(row * inputs, (row + 1) * inputs);
    sums.set(to);
    for (let r = 0; r < rank; r++) {
      const factor = scale * (b[row * rank + r] as number);
      for (let c = 0; c < inputs; c++) sums[c] = (sums[c] as number) + factor * (a[r * inputs + c] as number);
    }
    to.set(sums);
  }
};

/**
 * Adds an adapter to weights, piece by piece.
 * @param layout layout of the weights.
 * @param read reads the weights.
 * @param write stores the new values. Each piece is read once and written once.
 */
export const addAdapter = async (
  config: ModelConfig,
  layout: Model["layout"],
  adapter: Pick<Adapter, "config" | "layout"> & { readonly read: ReadValues },
  read: ReadValues,
  write: (values: Float32Array, offset: number) => void,
): Promise<void> => {
  const { rank } = adapter.config;
  const scale = loraScale(adapter.config);
  const weights = new Map(layout.parameters.map((one) => [one.name, one]));
  const matrices = new Map(adapter.layout.parameters.map((one) => [one.name, one]));
  for (const { weight, first, name } of placesOf(config)) {
    const [to, a, b] = [weights.get(weight), matrices.get(`${name}.loraA`), matrices.get(`${name}.loraB`)];
    if (to === undefined || a === undefined || b === undefined) continue;
    const [outputs = 0] = b.shape;
    const [, inputs = 0] = a.shape;
    const aValues = Float32Array.from(await adapter.read(a.offset, a.size));
    for (let row = 0; row < outputs; row += rowsAtATime) {
      const count = Math.min(rowsAtATime, outputs - row);
      const offset = to.offset + (first + row) * inputs;
      const rows = Float32Array.from(await read(offset, count * inputs));
      addProduct(rows, await adapter.read(b.offset + row * rank, count * rank), aValues, { rank, scale });
      write(rows, offset);
    }
  }
};

/**
 * Adds a model's adapters to the weights of its base: W + (alpha / rank)·B·A, summed in double precision and rounded
 * once. Afterwards the base computes the same as the model did, up to rounding. Other models that use this base change
 * too.
 * @experimental
 * @param model from `loraModel`. Close it afterwards: it is no longer usable.
 * @throws ConfigError for a model without adapters, or if the base has only bfloat16 weights.
 */
export const mergeAdapter = async (model: Model): Promise<void> => {
  checkModel("mergeAdapter: model", model);
  const { adapter, backend, layout, arena, config } = model;
  if (adapter === null) {
    throw new ConfigError({ where: "mergeAdapter: model", must: "the model must have adapters", got: "none" });
  }
  checkTrainable("mergeAdapter: model", model);
  const own = { ...adapter, read: arenaReader(backend, adapter.arena) };
  await addAdapter(config, layout, own, arenaReader(backend, arena), model.writeWeights);
};
