/** Types and helpers that declare a kernel in kernels.ts. */

type Access = "in" | "out" | "inout";
/**
 * Types of elements. `activation` is the real type or the backend's type for activations (`Capabilities.activations`).
 * `index` is a signed 32-bit integer; `bits` is a word of 32 bits.
 */
type Element = "real" | "activation" | "index" | "bits";

/** A buffer of a kernel: how it is accessed, the type of its elements, and whether it may be null. */
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
export const maybeIndices = spec("in", "index", true);
/** Words of 32 bits. */
export const bits = spec("in", "bits", false);
export const bitsOutput = spec("out", "bits", false);
export const maybeBits = spec("in", "bits", true);
export const maybeBitsUpdate = spec("inout", "bits", true);

/** Whether the elements of a buffer are integers. */
export const holdsIntegers = ({ element }: Pick<BufferSpec, "element">): boolean =>
  element === "index" || element === "bits";

/** A number with each name. */
export type Numbers<Names extends string> = { readonly [N in Names]: number };

type Buffers = Readonly<Record<string, BufferSpec>>;
type Names<B> = keyof B & string;
/** Names of the buffers in B with the specification `Spec`. */
type NamesOf<B, Spec> = { [N in Names<B>]: B[N] extends Spec ? N : never }[Names<B>];
type Written<B> = NamesOf<B, { access: "out" | "inout" }>;
type Updated<B> = NamesOf<B, { access: "inout" }>;
type Optional<B> = NamesOf<B, { optional: true }>;
type Activations<B> = NamesOf<B, { element: "activation" }>;

/**
 * A condition of a call that types and lengths do not express. `Size`: an integer argument; `Option`: a buffer that may
 * be null.
 */
export type Limit<Size extends string = string, Option extends string = string, Real extends string = string> =
  /** `size` is at least 1. A size of 0 would cause a division by zero or a row without elements. */
  | { readonly kind: "positive"; readonly size: Size }
  | { readonly kind: "even"; readonly size: Size }
  /**
   * `size` must be 0. If `given` names a buffer, the condition holds only if that buffer is given. `where` is the end
   * of the error text.
   */
  | { readonly kind: "zero"; readonly size: Size; readonly given?: Option; readonly where?: string }
  /** All integers of [first, first + count) are below `end`. */
  | { readonly kind: "range"; readonly first: Size; readonly count: Size; readonly end: Size }
  /** Both buffers are given, or both are null. */
  | { readonly kind: "together"; readonly buffers: readonly [Option, Option] }
  /** At most one of the two buffers is given. */
  | { readonly kind: "either"; readonly buffers: readonly [Option, Option] }
  /** `size` is a whole multiple of `of`. */
  | { readonly kind: "multiple"; readonly size: Size; readonly of: Size }
  /** `size` is at most `most`. */
  | { readonly kind: "most"; readonly size: Size; readonly most: Size }
  /** `size` is below `end`. */
  | { readonly kind: "below"; readonly size: Size; readonly end: number }
  /** `size` is a whole multiple of the number `of`. */
  | { readonly kind: "whole"; readonly size: Size; readonly of: number }
  /** `flag` is 0 or 1. */
  | { readonly kind: "flag"; readonly flag: Size }
  /** `real` is at least 0 and below 1. */
  | { readonly kind: "share"; readonly real: Real }
  /** `size` is 0 if `buffer` is null, and at least 1 if `buffer` is given. */
  | { readonly kind: "counts"; readonly size: Size; readonly buffer: Option }
  /** `size` is 0 if `flag` is 0. */
  | { readonly kind: "under"; readonly size: Size; readonly flag: Size }
  /** If `buffer` is given, `other` is given too. */
  | { readonly kind: "needs"; readonly buffer: Option; readonly other: Option };

/** Cost of a call, which ../calls/cost.ts computes. */
export interface Cost<B extends Buffers = Buffers, Size extends string = string> {
  /** Number of multiplications and additions of products. If absent, the kernel is limited by memory bandwidth. */
  readonly flops?: (sizes: Numbers<Size>) => number;
  /**
   * Number of touched elements of each buffer that a call touches only in part. For other buffers, `lengths` has the
   * number.
   */
  readonly touched?: (sizes: Numbers<Size>) => { readonly [N in keyof B]?: number };
  /**
   * Buffers with elements that are never read. These buffers are "inout" only because elements next to the written
   * elements keep their values.
   */
  readonly unread?: readonly Updated<B>[];
  /** Buffers that are read only if the call's `add` is 1. */
  readonly readToAdd?: readonly Updated<B>[];
}

/** One pass of a kernel that is split. */
export interface Pass<Name extends string = string> {
  readonly reads: readonly Name[];
  readonly writes: readonly Name[];
}

/** How to split a kernel that has more buffers than a GPU can bind at once. The passes run in order. */
export interface Split<Name extends string = string, Size extends string = string, Scratch extends string = string> {
  /** Buffers that one pass writes and another pass reads, with the number of elements of each buffer. */
  readonly scratch: Readonly<Record<Scratch, (sizes: Numbers<Size>) => number>>;
  readonly passes: readonly Pass<Name | NoInfer<Scratch>>[];
}

/** Number of storage buffers that every GPU can bind at once: WebGPU's `maxStorageBuffersPerShaderStage`. */
export const maxStorageBuffers = 8;

/** Full declaration of a kernel, as kernels.ts describes it. */
export interface Signature<B extends Buffers, I extends string, F extends string, S extends string = never> {
  /** What the kernel computes, in one or two lines. The C++ header contains this text too. */
  readonly purpose: string;
  /** The buffers in argument order. */
  readonly buffers: B;
  /** Integer arguments (int32) in argument order. Lengths and strides count elements. */
  readonly ints: readonly I[];
  /**
   * Integer arguments that are words of a random key. Such an argument may be any 32 bits, signed or unsigned. All
   * other integer arguments are sizes.
   */
  readonly words?: readonly NoInfer<I>[];
  /** Real arguments in argument order. */
  readonly floats: readonly F[];
  /** Number of elements that each buffer must have from its offset. */
  readonly lengths: (sizes: Numbers<I>) => { readonly [N in keyof B]: number };
  readonly limits?: readonly Limit<NoInfer<I>, NoInfer<Optional<B>>, NoInfer<F>>[];
  /** Activation buffers that must have the same element type. */
  readonly oneType?: readonly NoInfer<Activations<B>>[];
  /**
   * For each output, the buffers that may share memory with it: they are the same array, or their rows interleave.
   * Other pairs of buffers may share memory only if both buffers are read-only.
   */
  readonly shares?: { readonly [N in NoInfer<Written<B>>]?: readonly NoInfer<Names<B>>[] };
  readonly cost?: Cost<NoInfer<B>, NoInfer<I>>;
  /** Required if the kernel has more than `maxStorageBuffers` buffers. */
  readonly split?: Split<NoInfer<Names<B>>, NoInfer<I>, S>;
}

/** Checks a declaration. The result has a type that contains the names of the arguments. */
export const kernel = <
  const B extends Record<string, BufferSpec>,
  const I extends string,
  const F extends string = never,
  const S extends string = never,
>(
  signature: Signature<B, I, F, S>,
): Signature<B, I, F, S> => signature;
