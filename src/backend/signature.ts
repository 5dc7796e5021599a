/** The words that kernels.ts declares a kernel in. */

type Access = "in" | "out" | "inout";
/** `activation`: real, or what the backend has for activations (`Capabilities.activations`). */
type Element = "real" | "activation" | "index";

/** A buffer of a kernel: how it is accessed, what it holds and whether it may be null. */
export interface BufferSpec {
  readonly access: Access;
  readonly element: Element;
  readonly optional: boolean;
}

const spec = <const A extends Access, const E extends Element, const O extends boolean>(
  access: A,
  element: E,
  optional: O,
) => ({ access, element, optional });

export const input = spec("in", "real", false);
export const maybeInput = spec("in", "real", true);
export const output = spec("out", "real", false);
export const maybeOutput = spec("out", "real", true);
export const update = spec("inout", "real", false);
export const maybeUpdate = spec("inout", "real", true);
export const activation = spec("in", "activation", false);
export const maybeActivation = spec("in", "activation", true);
export const activationOutput = spec("out", "activation", false);
export const maybeActivationOutput = spec("out", "activation", true);
export const activationUpdate = spec("inout", "activation", false);
export const indices = spec("in", "index", false);
/** Words of 32 bits. */
export const bits = spec("in", "index", false);
export const bitsOutput = spec("out", "index", false);
export const maybeBits = spec("in", "index", true);
export const maybeBitsUpdate = spec("inout", "index", true);

/** A number for each name. */
export type Numbers<Names extends string> = { readonly [N in Names]: number };

/** What a kernel takes: see kernels.ts. */
export interface Signature<B extends Record<string, BufferSpec>, I extends string, F extends string> {
  /** In argument order. */
  readonly buffers: B;
  /** Integer arguments (int32) in argument order. Lengths and strides count elements. */
  readonly ints: readonly I[];
  /** Real arguments in argument order. */
  readonly floats: readonly F[];
  /** Elements that each buffer must hold from its offset on. */
  readonly lengths: (sizes: Numbers<I>) => { readonly [N in keyof B]: number };
}

/** Checks a declaration and keeps its names for the types of the arguments. */
export const kernel = <
  const B extends Record<string, BufferSpec>,
  const I extends string,
  const F extends string = never,
>(
  signature: Signature<B, I, F>,
): Signature<B, I, F> => signature;
