import { ConfigError } from "../../../core/errors/errors.ts";
import { allChars } from "../automata/char-set.ts";
import { parseRegex } from "../automata/parse-regex.ts";
import { literal, oneOf, type Regex } from "../automata/regex.ts";

/** An expression of a grammar. */
export type Expression =
  /** Characters, as a regular expression. */
  | { readonly kind: "text"; readonly regex: Regex }
  | { readonly kind: "rule"; readonly name: string }
  | { readonly kind: "sequence"; readonly parts: readonly Expression[] }
  | { readonly kind: "either"; readonly options: readonly Expression[] }
  /** @property most null means no upper limit. */
  | { readonly kind: "repeat"; readonly part: Expression; readonly least: number; readonly most: number | null };

export type Rules = ReadonlyMap<string, Expression>;

const where = "constraint: grammar";

type Token = {
  readonly kind: "name" | "text" | "class" | "sign" | "bounds";
  readonly text: string;
  readonly line: number;
};

/** Splits a grammar into tokens: signs, names, quoted texts, and classes in brackets. Comments are dropped. */
const tokenPattern =
  /(?<name>[A-Za-z_][A-Za-z0-9_-]*)|(?<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(?<class>\[(?:[^\]\\\n]|\\.)+\])|(?<bounds>\{\s*\d+\s*(?:,\s*\d*\s*)?\})|(?<sign>::=|[|()*+?.])|(?<space>\s+|#[^\n]*)/uy;

const tokensOf = (grammar: string): Token[] => {
  const tokens: Token[] = [];
  let line = 1;
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < grammar.length) {
    const at = tokenPattern.lastIndex;
    const match = tokenPattern.exec(grammar);
    if (match === null) {
      throw new ConfigError({
        where: `${where}: line ${line}`,
        must: 'must have rules such as: root ::= "a" [b-z]+ (other | "c")?',
        got: grammar.slice(at, at + 20),
      });
    }
    for (const kind of ["name", "text", "class", "bounds", "sign"] as const) {
      const text = match.groups?.[kind];
      if (text !== undefined) tokens.push({ kind, text, line });
    }
    line += match[0].split("\n").length - 1;
  }
  return tokens;
};

/** The characters of a quoted text, without quotes and escapes. */
const unquoted = (token: Token): string =>
  token.text
    .slice(1, -1)
    .replaceAll(
      /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))/gu,
      (_, x, u, long, char: string | undefined) => {
        const hex: string | undefined = x ?? u ?? long;
        if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
        return { n: "\n", t: "\t", r: "\r", 0: "\0" }[char ?? ""] ?? char ?? "";
      },
    );

/**
 * Parses the rules of a grammar in EBNF: `name ::= expression`. An expression may contain "texts", [classes],
 * alternatives with |, groups in ( ), and repetitions with * + ? {2,3}. A point matches any character. Comments begin
 * with #.
 * @throws ConfigError for invalid rules; the error names the line.
 */
export const parseGrammar = (grammar: string): Rules => {
  const tokens = tokensOf(grammar);
  let at = 0;
  const peek = (): Token | undefined => tokens[at];
  const isSign = (text: string): boolean => peek()?.kind === "sign" && peek()?.text === text;
  const refuse = (must: string, token = peek()): ConfigError =>
    new ConfigError({
      where: `${where}: line ${token?.line ?? tokens.at(-1)?.line ?? 1}`,
      must,
      got: token === undefined ? "the end" : token.text,
    });
  const atRule = (): boolean => peek()?.kind === "name" && tokens[at + 1]?.text === "::=";
  const parseAtom = (): Expression => {
    const token = peek();
    at++;
    if (token?.kind === "name") return { kind: "rule", name: token.text };
    if (token?.kind === "text") return { kind: "text", regex: literal(unquoted(token)) };
    if (token?.kind === "class")
      return { kind: "text", regex: parseRegex(token.text, `${where}: line ${token.line}`, "lenient") };
    if (token?.text === ".") return { kind: "text", regex: oneOf(allChars) };
    if (token?.text !== "(")
      throw refuse("an expression must have a rule, a quoted text, a class or a group here", token);
    const inside = parseEither();
    if (!isSign(")")) throw refuse("a group must end with )");
    at++;
    return inside;
  };
  const parseRepeated = (): Expression => {
    let part = parseAtom();
    for (;;) {
      const token = peek();
      if (token?.kind === "bounds") {
        const [least = "0", most] = token.text.slice(1, -1).split(",");
        const end = most === undefined ? Number(least) : most.trim() === "" ? null : Number(most);
        if (end !== null && end < Number(least)) throw refuse("in {least,most}, least must not exceed most");
        part = { kind: "repeat", part, least: Number(least), most: end };
      } else if (isSign("*")) part = { kind: "repeat", part, least: 0, most: null };
      else if (isSign("+")) part = { kind: "repeat", part, least: 1, most: null };
      else if (isSign("?")) part = { kind: "repeat", part, least: 0, most: 1 };
      else return part;
      at++;
    }
  };
  const parseSequence = (): Expression => {
    const parts: Expression[] = [];
    while (peek() !== undefined && !isSign("|") && !isSign(")") && !atRule()) parts.push(parseRepeated());
    return { kind: "sequence", parts };
  };
  const parseEither = (): Expression => {
    const options = [parseSequence()];
    while (isSign("|")) {
      at++;
      options.push(parseSequence());
    }
    return { kind: "either", options };
  };
  const rules = new Map<string, Expression>();
  while (peek() !== undefined) {
    if (!atRule()) throw refuse("a rule must begin with its name and ::=");
    const name = peek()?.text ?? "";
    if (rules.has(name)) throw refuse("a rule must be defined only once");
    at += 2;
    rules.set(name, parseEither());
  }
  if (!rules.has("root"))
    throw new ConfigError({ where, must: "must have a rule named root", got: [...rules.keys()].join(", ") });
  const check = (expression: Expression, rule: string): void => {
    if (expression.kind === "rule" && !rules.has(expression.name)) {
      throw new ConfigError({
        where: `${where}: ${rule}`,
        must: "must use only rules of the grammar",
        got: expression.name,
      });
    }
    if (expression.kind === "sequence") for (const part of expression.parts) check(part, rule);
    if (expression.kind === "either") for (const option of expression.options) check(option, rule);
    if (expression.kind === "repeat") check(expression.part, rule);
  };
  for (const [name, expression] of rules) check(expression, name);
  return rules;
};
