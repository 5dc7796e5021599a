import type { CharSet } from "../automata/char-set.ts";
import type { Dfa } from "../automata/dfa.ts";
import type { Conjunction, Literal } from "./conjunction.ts";
import type { StringTexts } from "./strings.ts";

/** The values that are allowed at one place of a document. */
export interface ValueNode {
  readonly id: number;
  /** Listed values, as JSON texts. */
  readonly texts: readonly string[];
  readonly numbers: readonly Dfa[];
  readonly strings: readonly StringTexts[];
  readonly arrays: readonly ArraySpec[];
  readonly objects: readonly ObjectSpec[];
  /** Whether a value of finite length is allowed. */
  inhabited: boolean;
}

/** Computes the nodes of a schema. */
export interface Nodes {
  readonly nodeOf: (literals: readonly Literal[]) => ValueNode;
  readonly waysOf: (literals: readonly Literal[]) => readonly Conjunction[];
  /** Characters that the vocabulary can write. */
  readonly alphabet: CharSet;
}

/** A required part of a value, if no value is possible for this part. */
export interface MissingPart {
  /** Place of the part in the schema. */
  readonly path: string;
  readonly node: ValueNode;
}

/** The arrays of one conjunction. */
export interface ArraySpec {
  readonly id: number;
  readonly minItems: number;
  /** Maximum number of items. This is the schema's limit. The maximum is lower if no item is possible at a position. */
  maxItems(): number;
  /** Minimum number of items that match `contains`. */
  readonly leastCounted: number;
  /** All items from this position have the same schema. */
  readonly alikeFrom: number;
  /** Whether items must differ (`uniqueItems`). The possible values of the items are then listed. */
  readonly unique: boolean;
  item(place: number): ValueNode;
  /** The item at a position, if it must also match `contains`. */
  counted(place: number): ValueNode;
  /** Number of positions at or after `from` at which an item may match `contains`. */
  countable(from: number): number;
  /** Whether an array of finite length is allowed, according to the currently known items. */
  isPossible(): boolean;
  /** The item that makes every array impossible. Null if the cause is not a single item. */
  missing(): MissingPart | null;
  /** Computes the nodes of all items. */
  reach(): void;
}

/**
 * The objects that one conjunction allows. Each name has a label. The schema's names come first, followed by groups of
 * other names.
 */
export interface ObjectSpec {
  readonly id: number;
  /** Names that the schema lists. */
  readonly names: readonly string[];
  /** Labels of required names, one bit for each label. */
  readonly required: bigint;
  readonly requiredCount: number;
  readonly minProperties: number;
  readonly maxProperties: number;
  /** The automaton of all names with their labels. */
  readonly keys: () => Dfa;
  /** Labels of the names that may be written, one bit for each label. A name may be written if its value can exist. */
  readonly possible: () => bigint;
  child(label: number): ValueNode;
  isPossible(): boolean;
  /** The property that makes every object impossible. Null if the cause is not a single property. */
  missing(): MissingPart | null;
  reach(): void;
}
