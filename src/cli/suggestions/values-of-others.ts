/** Maps values in flags of other programs to values of foretoken, for hints. */

/** Reads an own property of a table. Inherited names such as `constructor` are ignored. */
export const ownValue = <Value>(table: Readonly<Record<string, Value>>, key: string): Value | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined;

/** Element types that also have a short name. */
const longNames = { fp32: "f32", float32: "f32", single: "f32", bfloat16: "bf16" } as const;

/** Maps other programs' names of --dtype's values to the names here. */
export const dtypeNames: Readonly<Record<string, string>> = {
  ...{
    bf16: "bfloat16",
    fp16: "bfloat16, because there is no float16",
    float16: "bfloat16, because there is no float16",
  },
  ...{ half: "bfloat16, because there is no float16", fp32: "float32", f32: "float32", single: "float32" },
};

/** For each format, maps other programs' names of the values of export's --dtype to the names here. */
export const exportDtypeNames: Readonly<Record<"hf" | "gguf" | "onnx", Readonly<Record<string, string>>>> = {
  hf: { ...longNames, fp16: "bf16", float16: "bf16", half: "bf16" },
  gguf: {
    ...longNames,
    ...{ fp16: "f16", float16: "f16", half: "f16", q8: "q8_0", int8: "q8_0", q4: "q4_k", int4: "q4_k" },
  },
  onnx: { ...longNames, ...{ q8: "int8", uint8: "int8", quantized: "int8", q8_0: "int8" } },
};

/** Maps other programs' names of --metric's values to the names here. */
export const metricNamesOfOthers: Readonly<Record<string, string>> = {
  ...{ lr: "learning-rate", grad: "grad-norm", norm: "grad-norm", gradnorm: "grad-norm", speed: "tokens-per-second" },
  ...{ throughput: "tokens-per-second", val: "loss", val_loss: "loss", train_loss: "loss", perplexity: "loss --log" },
};

/** Maps the names of devices to values of --backend. */
export const deviceNames: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ["cuda", "gpu", "mps", "metal", "rocm", "vulkan", "webgpu"].map((name) => [
      name,
      "auto, because there is no GPU backend (yet)",
    ]),
  ),
  cpu: "auto, which runs on the CPU",
};
