import type { CharSet } from "../automata/char-set.ts";
import type { Dfa } from "../automata/dfa.ts";
import type { Conjunction, Literal } from "./conjunction.ts";
import type { StringTexts } from "./strings.ts";

/** The values that are allowed at one place of a document, as texts of JSON. */
export interface ValueNode {
  readonly id: number;
  /** Values that are listed. */
  readonly texts: readonly string[];
  readonly numbers: readonly Dfa[];
  readonly strings: readonly StringTexts[];
  readonly arrays: readonly ArraySpec[];
  readonly objects: readonly ObjectSpec[];
  /** Whether a value of finite length is allowed. */
  inhabited: boolean;
}

/** Finds the nodes of a schema. */
export interface Nodes {
  readonly nodeOf: (literals: readonly Literal[]) => ValueNode;
  readonly waysOf: (literals: readonly Literal[]) => readonly Conjunction[];
  /** Characters that the vocabulary can write. */
  readonly alphabet: CharSet;
}

/** A part of a value that must be there, and that no value fits. */
export interface MissingPart {
  /** Its place in the schema. */
  readonly path: string;
  readonly node: ValueNode;
}

/** The arrays of one conjunction. */
export interface ArraySpec {
  readonly id: number;
  readonly minItems: number;
  /** Items that there may be: as the schema says, or up to the first place that no value fits. */
  maxItems(): number;
  /** Items that match `contains` that there must be. */
  readonly leastCounted: number;
  /** The items from this place on are alike. */
  readonly alikeFrom: number;
  /** Whether equal items are refused. They are listed values then. */
  readonly unique: boolean;
  item(place: number): ValueNode;
  /** An item that matches `contains`, too. */
  counted(place: number): ValueNode;
  /** Places from one on at which an item may match `contains`. */
  countable(from: number): number;
  /** Whether an array of finite length is allowed, as far as is known of its items. */
  isPossible(): boolean;
  /** An item for want of which no array is allowed. null: that is no item's fault. */
  missing(): MissingPart | null;
  /** Finds all nodes of items. */
  reach(): void;
}

/** The objects of one conjunction. Names have labels: first those that the schema tells, then kinds of other names. */
export interface ObjectSpec {
  readonly id: number;
  /** Names that the schema tells. */
  readonly names: readonly string[];
  /** Labels of names that must be there, as bits. */
  readonly required: bigint;
  readonly requiredCount: number;
  readonly minProperties: number;
  readonly maxProperties: number;
  /** The texts of all names with their labels. */
  readonly keys: () => Dfa;
  /** Labels whose names may be written, as bits: some value fits. */
  readonly possible: () => bigint;
  child(label: number): ValueNode;
  isPossible(): boolean;
  /** A property for want of which no object is allowed. null: that is no property's fault. */
  missing(): MissingPart | null;
  reach(): void;
}
