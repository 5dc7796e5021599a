/** Norms and activation functions, as ONNX operators. */
import type { NormConfig } from "../../nn/norm.ts";
import type { GeluApproximation } from "../../ops/gelu.ts";
import { float, type GraphBuilder, type Name, whole, wholes } from "./builder.ts";
import { floatTensor, type NamedWeights } from "./weights.ts";

/** x / √(mean(x²) + ε) · γ over the last axis. ONNX Runtime fuses this sequence of operators. */
export const rmsNorm = (builder: GraphBuilder, x: Name, gamma: Name, eps: number): Name => {
  const { node, scalar } = builder;
  const mean = node("ReduceMean", [node("Pow", [x, scalar(2)])], { axes: wholes(-1), keepdims: whole(1) });
  const root = node("Sqrt", [node("Add", [mean, scalar(eps)])]);
  return node("Mul", [node("Div", [x, root]), gamma]);
};

/** The model's norm with this name. */
export const normalise = (
  builder: GraphBuilder,
  { kind, eps }: NormConfig,
  weights: NamedWeights,
  name: string,
  x: Name,
): Name => {
  const tensor = (part: string): Name => builder.tensor(floatTensor(weights, `${name}.${part}`));
  const gamma = tensor("weight");
  switch (kind) {
    case "layernorm":
      return builder.node("LayerNormalization", [x, gamma, tensor("bias")], { axis: whole(-1), epsilon: float(eps) });
    case "rmsnorm":
      return rmsNorm(builder, x, gamma, eps);
    default:
      return kind satisfies never;
  }
};

/** ½·x·(1 + f(x)) with f(x) = erf(x/√2), or tanh(√(2/π)·(x + 0.044715·x³)). */
export const gelu = (builder: GraphBuilder, x: Name, approximate: GeluApproximation): Name => {
  const { node, scalar } = builder;
  const inner = (): Name => {
    switch (approximate) {
      case "none":
        return node("Erf", [node("Div", [x, scalar(Math.SQRT2)])]);
      case "tanh": {
        const cube = node("Mul", [node("Pow", [x, scalar(3)]), scalar(0.044715)]);
        return node("Tanh", [node("Mul", [node("Add", [x, cube]), scalar(Math.sqrt(2 / Math.PI))])]);
      }
      default:
        return approximate satisfies never;
    }
  };
  return node("Mul", [node("Mul", [x, node("Add", [inner(), scalar(1)])]), scalar(0.5)]);
};

/** x·σ(x) */
export const swish = ({ node }: GraphBuilder, x: Name): Name => node("Mul", [x, node("Sigmoid", [x])]);

/** max(0, x)² */
export const squaredRelu = ({ node, scalar }: GraphBuilder, x: Name): Name =>
  node("Pow", [node("Max", [x, scalar(0)]), scalar(2)]);
