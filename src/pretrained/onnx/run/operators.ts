/** Implements the operators of exported graphs (https://onnx.ai/onnx/operators/), versions 13 to 17. */
import type { Operator } from "../builder.ts";
import type { Call } from "./call.ts";
import {
  both,
  cast,
  each,
  erf,
  largestOf,
  layerNorm,
  meanOf,
  reduce,
  roundEven,
  softmax,
  where,
} from "./elementwise.ts";
import { gemm, matMul, matMulInteger } from "./matmul.ts";
import { concat, gather, range, reshape, shapeOf, split, transpose, unsqueeze } from "./shapes.ts";
import type { Tensor } from "./tensor.ts";

/** An operator that can be executed. */
export interface RunnableOperator {
  /** Minimum and maximum number of inputs. */
  readonly inputs: readonly [least: number, most: number];
  /** Supported attributes. */
  readonly attributes: readonly string[];
  /** Index of the late input. The operator reads the numbers of this input itself, with `load`. */
  readonly late?: number;
  readonly run: (call: Call) => Tensor | readonly Tensor[] | Promise<Tensor>;
}

const of = (
  inputs: RunnableOperator["inputs"],
  run: RunnableOperator["run"],
  attributes: readonly string[] = [],
  late?: number,
): RunnableOperator => ({ inputs, run, attributes, ...(late === undefined ? {} : { late }) });

const one = (compute: (value: number) => number): RunnableOperator => of([1, 1], each(compute));
const two = (...how: Parameters<typeof both>): RunnableOperator => of([2, 2], both(...how));
const numbers = ["float32", "int64"] as const;

const table: Readonly<Record<Operator, RunnableOperator>> = {
  Abs: one(Math.abs),
  Add: two((a, b) => a + b, numbers),
  And: two((a, b) => a & b, ["bool"]),
  Cast: of([1, 1], cast, ["to"]),
  Concat: of([1, Number.POSITIVE_INFINITY], concat, ["axis"]),
  Div: two((a, b) => a / b),
  Erf: one(erf),
  Gather: of([2, 2], gather, ["axis"]),
  Gemm: of([2, 3], gemm, ["alpha", "beta", "transA", "transB"], 1),
  LayerNormalization: of([3, 3], layerNorm, ["axis", "epsilon"]),
  LessOrEqual: two((a, b) => (a <= b ? 1 : 0), numbers, "bool"),
  MatMul: of([2, 2], matMul),
  MatMulInteger: of([2, 4], matMulInteger, [], 1),
  Max: two(Math.max),
  Mul: two((a, b) => a * b, numbers),
  Pow: two((a, b) => a ** b),
  Range: of([3, 3], range),
  ReduceMax: of([1, 1], reduce(largestOf), ["axes", "keepdims"]),
  ReduceMean: of([1, 1], reduce(meanOf), ["axes", "keepdims"]),
  Reshape: of([2, 2], reshape),
  Round: one(roundEven),
  Shape: of([1, 1], shapeOf),
  Sigmoid: one((value) => 1 / (1 + Math.exp(-value))),
  Softmax: of([1, 1], softmax, ["axis"]),
  Split: of([1, 2], split, ["axis"]),
  Sqrt: one(Math.sqrt),
  Sub: two((a, b) => a - b, numbers),
  Tanh: one(Math.tanh),
  Transpose: of([1, 1], transpose, ["perm"]),
  Unsqueeze: of([2, 2], unsqueeze),
  Where: of([3, 3], where),
};

/** The operator with this name. Undefined if the operator is not supported. */
export const operatorOf = (name: string): RunnableOperator | undefined =>
  Object.hasOwn(table, name) ? table[name as Operator] : undefined;
