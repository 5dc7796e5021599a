import { checkEndTokens, checkTokenizer } from "../../core/checks/check-arguments.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { allChars } from "./automata/char-set.ts";
import { both } from "./automata/dfa.ts";
import { dfaOf } from "./automata/from-regex.ts";
import { parseRegex } from "./automata/parse-regex.ts";
import { compileSteps, within } from "./budget.ts";
import { type Constraint, parseConstraint } from "./constraint.ts";
import { grammarFrames } from "./grammar/grammar-frames.ts";
import { parseGrammar } from "./grammar/parse-grammar.ts";
import { jsonFrames, leafOfDfa } from "./machine/json-frames.ts";
import { textLeaf } from "./machine/leaf.ts";
import { createMachine, type Machine } from "./machine/machine.ts";
import { type TokenTree, tokenTree } from "./machine/vocabulary.ts";
import { createMatcher, type Matcher } from "./matcher.ts";
import { isSpellable, schemaNodes } from "./schema/nodes.ts";
import { freeDfa } from "./schema/strings.ts";

/** A constraint, ready for the texts of one vocabulary. */
export interface CompiledConstraint {
  /** The matcher of one text. @param endTokens tokens that end it: allowed exactly where it is complete. */
  matcher(endTokens: readonly number[]): Matcher;
}

const unspellable = (kind: string): ConfigError =>
  new ConfigError({
    where: `constraint: ${kind}`,
    must: "must allow a text that this vocabulary can write",
    got: "one that needs characters without a token, or allows nothing",
  });

/** Every JSON value of a form is allowed, and nothing else at the top than objects and arrays. */
const anyJson = { type: ["object", "array"] };

const machineOf = (constraint: Constraint, tree: TokenTree): Machine => {
  const { alphabet } = tree;
  switch (constraint.kind) {
    case "json":
    case "jsonSchema": {
      const root = schemaNodes(constraint.kind === "json" ? anyJson : constraint.schema, alphabet);
      if (!root.inhabited) {
        if (alphabet !== allChars) throw unspellable(constraint.kind);
        throw new ConfigError({ where: "schema: #", must: "must allow a value", got: "one that no value meets" });
      }
      const frames = jsonFrames(tree);
      return createMachine(tree, (out) => frames.begin(root, null, out));
    }
    case "regex": {
      const where = "constraint: regex";
      const dfa = both(dfaOf(parseRegex(constraint.pattern, where), where), freeDfa(alphabet), where);
      if (dfa.start < 0) throw unspellable("regex");
      return createMachine(tree, (out) => out.read(leafOfDfa(tree, dfa, false), null));
    }
    case "choice": {
      const missing = constraint.choices.find((choice) => !isSpellable(choice, alphabet));
      if (missing !== undefined) throw unspellable(`choice ${JSON.stringify(missing)}`);
      return createMachine(tree, (out) => out.read(textLeaf(constraint.choices), null));
    }
    case "grammar": {
      const begin = grammarFrames(parseGrammar(constraint.grammar), alphabet, (dfa) => leafOfDfa(tree, dfa, false));
      if (begin === null) throw unspellable("grammar");
      return createMachine(tree, begin);
    }
    default:
      return constraint satisfies never;
  }
};

/** The most constraints that are kept for each tokenizer. */
const mostKept = 64;

interface Vocabulary {
  readonly tree: TokenTree;
  readonly machines: Map<string, Machine>;
}

const vocabularies = new WeakMap<Tokenizer, Vocabulary>();

const vocabularyOf = (tokenizer: Tokenizer): Vocabulary => {
  const known = vocabularies.get(tokenizer);
  if (known !== undefined) return known;
  const special = new Set(tokenizer.specialTokens.map(({ id }) => id));
  const tree = tokenTree(tokenizer.vocabSize, (id) => (special.has(id) ? null : tokenizer.bytes(id)));
  const made = { tree, machines: new Map<string, Machine>() };
  vocabularies.set(tokenizer, made);
  return made;
};

/** A constraint as text. @throws ConfigError for a schema that is no JSON. */
const keyOf = (constraint: Constraint): string => {
  try {
    return JSON.stringify(constraint);
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError({ where: "constraint", must: "must be JSON that is not nested too deep", got, cause });
  }
};

/**
 * Compiles a constraint for a tokenizer. The same one is compiled once.
 * @throws ConfigError for a schema with a keyword that would have no effect, an expression or a grammar that is not supported, a
 *   constraint that the vocabulary cannot write, and one that would take more than about a second to compile; DataError for a model without a tokenizer.
 * @example
 * ```ts
 * import { compileConstraint, loadPretrained } from "foretoken";
 *
 * const { tokenizer, endTokens } = await loadPretrained("runs/notes/best");
 * const matcher = compileConstraint({ kind: "regex", pattern: "[a-z]+" }, tokenizer).matcher(endTokens);
 * const mask = new Uint32Array(matcher.maskLength);
 * matcher.mask(mask);
 * console.log(Array.from({ length: tokenizer.vocabSize }, (_, id) => id).filter((id) => (mask[id >> 5] ?? 0) & (1 << (id & 31))));
 * ```
 */
export const compileConstraint = (constraint: Constraint, tokenizer: Tokenizer): CompiledConstraint => {
  checkTokenizer("compileConstraint: tokenizer", tokenizer);
  const parsed = parseConstraint(constraint, "compileConstraint");
  if (parsed === undefined)
    throw new ConfigError({ where: "compileConstraint: constraint", must: "must be there", got: "none" });
  const { tree, machines } = vocabularyOf(tokenizer);
  const key = keyOf(parsed);
  let machine = machines.get(key);
  if (machine === undefined)
    machine = within(compileSteps, `constraint: ${parsed.kind}`, () => machineOf(parsed, tree));
  else machines.delete(key);
  // The last one in order is the one that was used last.
  machines.set(key, machine);
  for (const oldest of machines.keys()) {
    if (machines.size <= mostKept) break;
    machines.delete(oldest);
  }
  const own = machine;
  const matcher = (endTokens: readonly number[]): Matcher => {
    checkEndTokens("matcher: endTokens", endTokens);
    const [bytesOf, encode] = [(id: number) => tokenizer.bytes(id), (text: string) => tokenizer.encode(text)];
    return createMatcher(own, { tree, bytesOf, encode, endTokens });
  };
  return { matcher };
};
