import { checkEndTokens, checkTokenizer } from "../../core/checks/check-arguments.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { encodeInside } from "../../tokenizer/special.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { compileSteps, within } from "./budget.ts";
import { beginningOf } from "./compose.ts";
import { type Constraint, parseConstraint } from "./constraint.ts";
import { fieldOf } from "./fields.ts";
import { createMachine, type Machine } from "./machine/machine.ts";
import { type TokenTree, tokenTree } from "./machine/vocabulary.ts";
import { bottom } from "./machine/ways.ts";
import { createMatcher, type Matcher } from "./matcher.ts";

/** A constraint compiled for one vocabulary. */
export interface CompiledConstraint {
  /**
   * Creates a matcher for one text. @param endTokens tokens that end the text. End tokens are allowed only if the text
   * is complete.
   */
  matcher(endTokens: readonly number[]): Matcher;
}

/** Maximum number of compiled constraints that are cached for each tokenizer. */
const mostKept = 64;

interface Vocabulary {
  readonly tree: TokenTree;
  /** Ids of special tokens by name. */
  readonly tokens: ReadonlyMap<string, number>;
  readonly machines: Map<string, Machine>;
}

const vocabularies = new WeakMap<Tokenizer, Vocabulary>();

const vocabularyOf = (tokenizer: Tokenizer): Vocabulary => {
  const known = vocabularies.get(tokenizer);
  if (known !== undefined) return known;
  const special = new Set(tokenizer.specialTokens.map(({ id }) => id));
  const tree = tokenTree(tokenizer.vocabSize, (id) => (special.has(id) ? null : tokenizer.bytes(id)));
  const tokens = new Map(tokenizer.specialTokens.map(({ id, name }) => [name, id]));
  const made = { tree, tokens, machines: new Map<string, Machine>() };
  vocabularies.set(tokenizer, made);
  return made;
};

/** The cache key of a constraint. @throws ConfigError for a schema that is not JSON. */
const keyOf = (constraint: Constraint): string => {
  try {
    return JSON.stringify(constraint);
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError({ where: "constraint", must: "must be JSON that is not nested too deeply", got, cause });
  }
};

/**
 * Compiles a constraint for a tokenizer. Compiled constraints are cached.
 * @throws ConfigError for a schema with a keyword that would have no effect, an unsupported regular expression or
 * grammar, a constraint that the vocabulary cannot write, or a constraint that takes more than about a second to
 * compile; DataError for a model without a tokenizer.
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
    throw new ConfigError({ where: "compileConstraint: constraint", must: "a constraint must be given", got: "none" });
  const { tree, tokens, machines } = vocabularyOf(tokenizer);
  const key = keyOf(parsed);
  let machine = machines.get(key);
  if (machine === undefined)
    machine = within(compileSteps, fieldOf("constraint", parsed), () => {
      const begin = beginningOf(parsed, tree, tokens);
      return createMachine(tree, (out) => begin(bottom, out));
    });
  else machines.delete(key);
  // Moves the constraint to the end. The first constraint is then the least recently used.
  machines.set(key, machine);
  for (const oldest of machines.keys()) {
    if (machines.size <= mostKept) break;
    machines.delete(oldest);
  }
  const own = machine;
  const matcher = (endTokens: readonly number[]): Matcher => {
    checkEndTokens("matcher: endTokens", endTokens);
    const [bytesOf, encode] = [(id: number) => tokenizer.bytes(id), (text: string) => encodeInside(tokenizer, text)];
    return createMatcher(own, { tree, bytesOf, encode, endTokens });
  };
  return { matcher };
};
