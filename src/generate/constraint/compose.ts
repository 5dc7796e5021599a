/**
 * Combines constraints on pieces of text. The code computes possible beginnings of a text, and possible pieces after
 * each piece.
 */
import { ConfigError } from "../../core/errors/errors.ts";
import { allChars } from "./automata/char-set.ts";
import { both } from "./automata/dfa.ts";
import { dfaOf } from "./automata/from-regex.ts";
import { parseRegex } from "./automata/parse-regex.ts";
import type { Constraint } from "./constraint.ts";
import { fieldOf, inField } from "./fields.ts";
import { grammarFrames } from "./grammar/grammar-frames.ts";
import { parseGrammar } from "./grammar/parse-grammar.ts";
import { jsonFrames, leafOfDfa } from "./machine/json-frames.ts";
import { markerLeaf, textLeaf, tokenLeaf } from "./machine/leaf.ts";
import { createMachine } from "./machine/machine.ts";
import type { TokenTree } from "./machine/vocabulary.ts";
import { bottom, type Output, type Place, type Stack } from "./machine/ways.ts";
import { emptyPlace, isSpellable, schemaNodes } from "./schema/nodes.ts";
import { freeDfa } from "./schema/strings.ts";

/** Reports how a text may begin. @param stack the continuation after the text. */
export type Beginning = (stack: Stack, out: Output) => void;

const unspellable = (kind: string): ConfigError =>
  new ConfigError({
    where: `constraint: ${kind}`,
    must: "must allow a text that this vocabulary can write",
    got: "a constraint that allows no text, or needs characters that no token can write",
  });

/** Any JSON object or array. */
const anyJson = { type: ["object", "array"] };

/** Counter for ids of sequences and repetitions. */
let ids = 0;

const sequenceOf = (parts: readonly Beginning[]): Beginning => {
  const id = ids++;
  const from = (index: number, stack: Stack, out: Output): void => {
    const part = parts[index];
    if (part === undefined) {
      out.end(stack);
      return;
    }
    const next = {
      ...{ key: `q${id},${index + 1}`, isFlat: true as const },
      resume: (_: number, at: Place, to: Output) => from(index + 1, at.parent, to),
    };
    part(index + 1 === parts.length ? stack : out.push(next, stack), out);
  };
  return (stack, out) => from(0, stack, out);
};

const repeatOf = (part: Beginning): Beginning => {
  const next = {
    ...{ key: `n${ids++}`, isFlat: true as const },
    resume: (_: number, at: Place, to: Output) => again(at.parent, to),
  };
  const again: Beginning = (stack, out) => {
    out.end(stack);
    part(out.push(next, stack), out);
  };
  return again;
};

/**
 * How a text of the constraint may begin.
 * @param tokens ids of special tokens by name.
 * @throws ConfigError for a constraint that is not supported, or that the vocabulary cannot write.
 */
export const beginningOf = (whole: Constraint, tree: TokenTree, tokens: ReadonlyMap<string, number>): Beginning => {
  const { alphabet } = tree;
  const frames = jsonFrames(tree);
  const jsonOf = (constraint: Constraint & { readonly kind: "json" | "jsonSchema" }): Beginning => {
    const root = schemaNodes(constraint.kind === "json" ? anyJson : constraint.schema, alphabet);
    if (!root.inhabited) {
      if (alphabet !== allChars) throw unspellable(constraint.kind);
      const where = `schema: ${emptyPlace(root)}`;
      throw new ConfigError({ where, must: "must allow a value", got: "a schema that allows no value" });
    }
    return (stack, out) => frames.begin(root, stack, out);
  };
  const partOf = (constraint: Constraint, path: string): Beginning => {
    switch (constraint.kind) {
      case "sequence":
        return sequenceOf(constraint.parts.map((part, i) => partOf(part, `${path}.parts.${i}`)));
      case "either": {
        const options = constraint.options.map((option, i) => partOf(option, `${path}.options.${i}`));
        return (stack, out) => {
          for (const option of options) option(stack, out);
        };
      }
      case "repeat": {
        const part = partOf(constraint.part, `${path}.part`);
        return inField(fieldOf(path, constraint), () => repeated(part));
      }
      default:
        return inField(fieldOf(path, constraint), () => ownOf(constraint));
    }
  };
  const repeated = (part: Beginning): Beginning => {
    if (createMachine(tree, (out) => part(bottom, out)).start.isComplete) {
      const must = "a repeated part must not allow the empty text";
      throw new ConfigError({ where: "constraint: repeat", must, got: "a part that may be empty" });
    }
    return repeatOf(part);
  };
  /** How a text may begin, for a constraint that contains no other constraints. */
  const ownOf = (constraint: Exclude<Constraint, { readonly kind: "sequence" | "either" | "repeat" }>): Beginning => {
    switch (constraint.kind) {
      case "json":
      case "jsonSchema":
        return jsonOf(constraint);
      case "regex": {
        const where = "constraint: regex";
        const dfa = both(dfaOf(parseRegex(constraint.pattern, where), where), freeDfa(alphabet), where);
        if (dfa.start < 0) throw unspellable("regex");
        const leaf = leafOfDfa(tree, dfa, false);
        return (stack, out) => out.read(leaf, stack);
      }
      case "choice": {
        const missing = constraint.choices.find((choice) => !isSpellable(choice, alphabet));
        if (missing !== undefined) throw unspellable(`choice ${JSON.stringify(missing)}`);
        const leaf = textLeaf(constraint.choices);
        return (stack, out) => out.read(leaf, stack);
      }
      case "grammar": {
        const begin = grammarFrames(parseGrammar(constraint.grammar), alphabet, (dfa) => leafOfDfa(tree, dfa, false));
        if (begin === null) throw unspellable("grammar");
        return begin;
      }
      case "token": {
        const id = tokens.get(constraint.name);
        if (id === undefined) {
          const must = "must be the name of a special token";
          throw new ConfigError({ where: "constraint: token", must, got: JSON.stringify(constraint.name) });
        }
        const leaf = tokenLeaf(id);
        return (stack, out) => out.read(leaf, stack);
      }
      case "trigger":
        throw new ConfigError({
          where: "constraint",
          must: "a trigger must be the whole constraint",
          got: "a trigger inside another constraint",
        });
      default:
        return constraint satisfies never;
    }
  };
  if (whole.kind !== "trigger") return partOf(whole, "constraint");
  const leaf = markerLeaf(whole.marker, tokens.get(whole.marker), whole.atStart === true);
  const rest = partOf(whole.rest, "constraint.rest");
  const next = {
    ...{ key: `t${ids++}`, isFlat: true as const },
    resume: (_: number, at: Place, to: Output) => rest(at.parent, to),
  };
  return (stack, out) => out.read(leaf, out.push(next, stack));
};
