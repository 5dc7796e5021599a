/** Tensor names of PEFT adapters. */

/** Tensor name of a module's matrix A or B. */
export const tensorName = (module: string, matrix: "A" | "B"): string =>
  `base_model.model.${module}.lora_${matrix}.weight`;

/** Splits a tensor name into module and matrix; undefined if the name has another form. */
export const parseTensorName = (name: string): { readonly module: string; readonly matrix: "A" | "B" } | undefined => {
  const [, module, matrix] = /^base_model\.model\.(.+)\.lora_(A|B)\.weight$/u.exec(name) ?? [];
  return module === undefined ? undefined : { module, matrix: matrix as "A" | "B" };
};
