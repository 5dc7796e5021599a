/** The words that kernels.ts declares a kernel in. */

type Access = "in" | "out" | "inout";
/**
 * `activation`: real, or what the backend has for activations (`Capabilities.activations`). `index` and `bits` are integers of
 * 32 bits: signed, or a word of bits.
 */
type Element = "real" | "activation" | "index" | "bits";

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
export const maybeIndices = spec("in", "index", true);
/** Words of 32 bits. */
export const bits = spec("in", "bits", false);
export const bitsOutput = spec("out", "bits", false);
export const maybeBits = spec("in", "bits", true);
export const maybeBitsUpdate = spec("inout", "bits", true);

/** Whether a buffer holds integers. */
export const holdsIntegers = ({ element }: Pick<BufferSpec, "element">): boolean =>
  element === "index" || element === "bits";

/** A number for each name. */
export type Numbers<Names extends string> = { readonly [N in Names]: number };

type Buffers = Readonly<Record<string, BufferSpec>>;
type Names<B> = keyof B & string;
/** The buffers of B whose spec is a `Spec`. */
type NamesOf<B, Spec> = { [N in Names<B>]: B[N] extends Spec ? N : never }[Names<B>];
type Written<B> = NamesOf<B, { access: "out" | "inout" }>;
type Updated<B> = NamesOf<B, { access: "inout" }>;
type Optional<B> = NamesOf<B, { optional: true }>;
type Activations<B> = NamesOf<B, { element: "activation" }>;

/** What must hold of a call, beyond types and lengths. `Size`: an integer argument; `Option`: a buffer that may be null. */
export type Limit<Size extends string = string, Option extends string = string, Real extends string = string> =
  /** Zero would divide by zero or leave a row without elements. */
  | { readonly kind: "positive"; readonly size: Size }
  | { readonly kind: "even"; readonly size: Size }
  /** `size` is 0; or only where the buffer `given` is, with the words `where` for the error. */
  | { readonly kind: "zero"; readonly size: Size; readonly given?: Option; readonly where?: string }
  /** [first, first + count) lies below `end`. */
  | { readonly kind: "range"; readonly first: Size; readonly count: Size; readonly end: Size }
  /** Both buffers are given, or both are null. */
  | { readonly kind: "together"; readonly buffers: readonly [Option, Option] }
  /** One of them at most is given. */
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
  /** `size` is 0 where `buffer` is null, and at least 1 where it is given. */
  | { readonly kind: "counts"; readonly size: Size; readonly buffer: Option }
  /** `size` is 0 where `flag` is. */
  | { readonly kind: "under"; readonly size: Size; readonly flag: Size }
  /** Where `buffer` is given, so is `other`. */
  | { readonly kind: "needs"; readonly buffer: Option; readonly other: Option };

/** What a call costs: see ../calls/cost.ts. */
export interface Cost<B extends Buffers = Buffers, Size extends string = string> {
  /** Multiplications and additions of products. Absent: the time is that of the bytes. */
  readonly flops?: (sizes: Numbers<Size>) => number;
  /** Elements touched in buffers of which a call does not touch all; in the others `lengths`. */
  readonly touched?: (sizes: Numbers<Size>) => { readonly [N in keyof B]?: number };
  /** "inout" because what is beside the written elements stays: nothing of it is read. */
  readonly unread?: readonly Updated<B>[];
  /** Read only where the call's `add` is 1. */
  readonly readToAdd?: readonly Updated<B>[];
}

/** One of the parts that a kernel is split into. */
export interface Pass<Name extends string = string> {
  readonly reads: readonly Name[];
  readonly writes: readonly Name[];
}

/** How a kernel with more buffers than a GPU binds at once becomes several, one after the other. */
export interface Split<Name extends string = string, Size extends string = string, Scratch extends string = string> {
  /** Buffers that one pass writes for another, with the elements of each. */
  readonly scratch: Readonly<Record<Scratch, (sizes: Numbers<Size>) => number>>;
  readonly passes: readonly Pass<Name | NoInfer<Scratch>>[];
}

/** Storage buffers that every GPU can bind at once: WebGPU's `maxStorageBuffersPerShaderStage`. */
export const maxStorageBuffers = 8;

/** All about a kernel: see kernels.ts. */
export interface Signature<B extends Buffers, I extends string, F extends string, S extends string = never> {
  /** What it computes, in a line or two: here, and in the C++ header. */
  readonly purpose: string;
  /** In argument order. */
  readonly buffers: B;
  /** Integer arguments (int32) in argument order. Lengths and strides count elements. */
  readonly ints: readonly I[];
  /** Those of `ints` that are words of a random key: any 32 bits, signed or unsigned. All other integers are sizes. */
  readonly words?: readonly NoInfer<I>[];
  /** Real arguments in argument order. */
  readonly floats: readonly F[];
  /** Elements that each buffer must hold from its offset on. */
  readonly lengths: (sizes: Numbers<I>) => { readonly [N in keyof B]: number };
  readonly limits?: readonly Limit<NoInfer<I>, NoInfer<Optional<B>>, NoInfer<F>>[];
  /** Buffers of activations that must all have one element type. */
  readonly oneType?: readonly NoInfer<Activations<B>>[];
  /**
   * For an output, the buffers that it may share memory with: it is one of them, or its rows lie between theirs. No other two
   * may, unless both are only read.
   */
  readonly shares?: { readonly [N in NoInfer<Written<B>>]?: readonly NoInfer<Names<B>>[] };
  readonly cost?: Cost<NoInfer<B>, NoInfer<I>>;
  /** Where there are more than `maxStorageBuffers`. */
  readonly split?: Split<NoInfer<Names<B>>, NoInfer<I>, S>;
}

/** Checks a declaration and keeps its names for the types of the arguments. */
export const kernel = <
  const B extends Record<string, BufferSpec>,
  const I extends string,
  const F extends string = never,
  const S extends string = never,
>(
  signature: Signature<B, I, F, S>,
): Signature<B, I, F, S> => signature;
