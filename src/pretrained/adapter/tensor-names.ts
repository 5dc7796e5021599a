/** Names of an adapter's tensors, as PEFT writes them. */

/** The name of a module's matrix A or B. */
export const tensorName = (module: string, matrix: "A" | "B"): string =>
  `base_model.model.${module}.lora_${matrix}.weight`;

/** The module and the matrix of a name; undefined for a name of another kind. */
export const parseTensorName = (name: string): { readonly module: string; readonly matrix: "A" | "B" } | undefined => {
  const [, module, matrix] = /^base_model\.model\.(.+)\.lora_(A|B)\.weight$/u.exec(name) ?? [];
  return module === undefined ? undefined : { module, matrix: matrix as "A" | "B" };
};
