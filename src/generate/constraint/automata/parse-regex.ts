import { ConfigError } from "../../../core/errors/errors.ts";
import { spend } from "../budget.ts";
import { allChars, type CharSet, charSet, charsOf, complementOf, unionOf } from "./char-set.ts";
import { either, oneOf, type Regex, repeat, sequence } from "./regex.ts";

const digits = charsOf("0123456789");
const wordChars = charSet([
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
]);
const spaces = unionOf(charsOf("\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"), [0x2000, 0x200a]);
const lineEnds = charsOf("\n\r\u2028\u2029");

const classEscapes: Readonly<Record<string, CharSet>> = {
  d: digits,
  D: complementOf(digits),
  w: wordChars,
  W: complementOf(wordChars),
  s: spaces,
  S: complementOf(spaces),
};
const charEscapes: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, 0: 0 };

/** Maximum number of repetitions of a part. More repetitions would need too many states. */
const mostRepeats = 100_000;

const properties = new Map<string, CharSet>();
/** Cost, in steps, of finding the characters with a Unicode property. Every Unicode character is tested. */
const stepsOfProperty = 600_000;

/** The characters that have a Unicode property, found with JavaScript's own regular expressions. */
const propertySet = (name: string, negated: boolean, refuse: (got: string) => ConfigError, where: string): CharSet => {
  let set = properties.get(name);
  if (set === undefined) {
    let expression: RegExp;
    try {
      expression = new RegExp(`\\p{${name}}`, "u");
    } catch {
      throw refuse(`the property ${name}`);
    }
    spend(stepsOfProperty, where);
    const pairs: [number, number][] = [];
    for (let code = 0; code <= 0x10ffff; code++) {
      if (code === 0xd800) code = 0xe000;
      if (!expression.test(String.fromCodePoint(code))) continue;
      const before = pairs.at(-1);
      if (before !== undefined && before[1] === code - 1) before[1] = code;
      else pairs.push([code, code]);
    }
    set = charSet(pairs);
    properties.set(name, set);
  }
  return negated ? complementOf(set) : set;
};

/** Returns a pattern as one readable line, for errors. */
const shown = (pattern: string): string => {
  const text = JSON.stringify(pattern);
  return text.length > 80 ? `${text.slice(0, 77)}…"` : text;
};

/** JavaScript's error message for an invalid expression. Undefined if the expression is valid. */
const faultOf = (pattern: string, flags: string): string | undefined => {
  try {
    new RegExp(pattern, flags);
    return undefined;
  } catch (cause) {
    return cause instanceof Error ? cause.message.replace(/^.*: /su, "") : String(cause);
  }
};

/** @throws ConfigError if JavaScript does not accept the expression. */
const checkDialect = (pattern: string, where: string, dialect: Dialect): void => {
  const fault = faultOf(pattern, "u");
  if (fault === undefined || (dialect === "lenient" && faultOf(pattern, "") === undefined)) return;
  throw new ConfigError({
    where,
    must: 'must be a regular expression of JavaScript with the flag "u"',
    got: `${shown(pattern)}: ${fault.slice(0, 1).toLowerCase()}${fault.slice(1)}`,
  });
};

/** A part that must still be closed. Its beginning counts characters from 1. */
interface Opened {
  readonly sign: string;
  readonly closing: string;
  readonly begin: number;
}

/** Functions that the parser needs both inside and outside of character classes. Places count characters from 1. */
const reader = (pattern: string, where: string) => {
  const chars = Array.from(pattern);
  let at = 0;
  const refuse = (got: string, place = at): ConfigError =>
    new ConfigError({
      where,
      must: "must be a regular expression of characters, classes, groups, alternatives, repetitions, ^ and $",
      got: `${got} at character ${Math.max(1, place)} of ${shown(pattern)}`,
    });
  const unclosed = ({ sign, closing, begin }: Opened): ConfigError =>
    new ConfigError({
      where,
      must: `must have a ${closing} for the ${sign} at character ${begin}`,
      got: `no ${closing} after ${shown(chars.slice(begin - 1).join(""))}`,
    });
  const take = (opened?: Opened): string => {
    const char = chars[at++];
    if (char !== undefined) return char;
    if (opened !== undefined) throw unclosed(opened);
    throw new ConfigError({ where, must: "must have a character after its last backslash", got: shown(pattern) });
  };
  const takeIf = (text: string): boolean => {
    if (chars.slice(at, at + text.length).join("") !== text) return false;
    at += text.length;
    return true;
  };
  const hex = (length: number, begin: number): number => {
    const text = chars.slice(at, at + length).join("");
    if (!/^[0-9a-fA-F]+$/u.test(text) || text.length !== length) throw refuse("an escape without digits", begin);
    at += length;
    return Number.parseInt(text, 16);
  };
  const braced = (): string => {
    const opened = { sign: "{", closing: "}", begin: at };
    let text = "";
    for (let char = take(opened); char !== "}"; char = take(opened)) text += char;
    return text;
  };
  /** The set of characters of an escape. The backslash was already read. */
  const escaped = (): CharSet => {
    const begin = at;
    const char = take();
    const refuseIt = (got: string): ConfigError => refuse(got, begin);
    const single = (code: number): CharSet => {
      if (!(code >= 0 && code <= 0x10ffff)) throw refuseIt("an escape beyond the last code point");
      return [code, code];
    };
    const known = classEscapes[char];
    if (known !== undefined) return known;
    const code = charEscapes[char];
    if (char === "0" && /[0-9]/u.test(chars[at] ?? "")) throw refuseIt("an octal number");
    if (code !== undefined) return [code, code];
    if (char === "x") return single(hex(2, begin));
    if (char === "u") {
      if (takeIf("{")) return single(Number.parseInt(braced(), 16));
      const first = hex(4, begin);
      if (first < 0xd800 || first > 0xdfff) return single(first);
      if (first < 0xdc00 && takeIf("\\u")) return single(0x10000 + ((first - 0xd800) << 10) + (hex(4, begin) - 0xdc00));
      throw refuseIt("half of a surrogate pair");
    }
    if (char === "c" && /[a-zA-Z]/u.test(chars[at] ?? "")) return single((take().codePointAt(0) ?? 0) % 32);
    if ((char === "p" || char === "P") && takeIf("{")) return propertySet(braced(), char === "P", refuseIt, where);
    // In JavaScript, an escape of any other letter has no meaning. In other regex languages it may have a meaning.
    if (/[a-zA-Z1-9]/u.test(char)) throw refuseIt(`\\${char}`);
    return single(char.codePointAt(0) ?? 0);
  };
  return {
    chars,
    take,
    takeIf,
    escaped,
    refuse,
    unclosed,
    peek: () => chars[at],
    place: () => at,
    moveTo: (to: number) => (at = to),
  };
};

type Reader = ReturnType<typeof reader>;

/** Reads the inside of [...]. The opening bracket was already read. */
const parseClass = (read: Reader, where: string): CharSet => {
  const opened = { sign: "[", closing: "]", begin: read.place() };
  const negated = read.takeIf("^");
  const sets: CharSet[] = [];
  while (read.peek() !== "]") {
    const char = read.take(opened);
    const set = char === "\\" ? (read.takeIf("b") ? ([8, 8] as const) : read.escaped()) : charsOf(char);
    const next = read.chars[read.place() + 1];
    if (read.peek() === "-" && next !== "]" && next !== undefined && set[0] === set[1] && set.length === 2) {
      read.take();
      const end = read.take();
      const to = end === "\\" ? read.escaped() : charsOf(end);
      if (to.length !== 2 || to[0] !== to[1]) {
        sets.push(set, charsOf("-"), to);
        continue;
      }
      const [from = 0] = set;
      const [last = 0] = to;
      if (last < from) throw read.refuse("a range with its end before its beginning");
      sets.push([from, last]);
    } else sets.push(set);
  }
  read.take();
  spend(
    sets.reduce((sum, set) => sum + set.length, 0),
    where,
  );
  const all = unionOf(...sets);
  return negated ? complementOf(all) : all;
};

/** Reads {least,most} after a part. Returns null if the brace does not begin a repetition. */
const parseBounds = (read: Reader): readonly [number, number | null] | null => {
  const begin = read.place();
  let text = "";
  while (read.peek() !== undefined && /[0-9,]/u.test(read.peek() ?? "")) text += read.take();
  const match = /^(\d+)(,(\d*))?$/u.exec(text);
  if (match === null || !read.takeIf("}")) {
    read.moveTo(begin);
    return null;
  }
  const least = Number(match[1]);
  const most = match[2] === undefined ? least : match[3] === "" ? null : Number(match[3]);
  if (Math.max(least, most ?? 0) > mostRepeats) throw read.refuse(`more than ${mostRepeats} repetitions`);
  if (most !== null && most < least) throw read.refuse("a repetition with a maximum below its minimum");
  return [least, most];
};

/**
 * Lenient parsing. Punctuation may have a backslash, although JavaScript refuses it with the flag "u". Many schemas
 * contain such escapes.
 */
type Dialect = "strict" | "lenient";

/**
 * Parses a JavaScript regular expression with the flag "u".
 * @throws ConfigError for an invalid expression, and for unsupported parts: lookaround, backreferences, word
 * boundaries. The error names the part.
 */
export const parseRegex = (pattern: string, where: string, dialect: Dialect = "strict"): Regex => {
  const read = reader(pattern, where);
  const parseAlternatives = (): Regex => {
    const options = [parseSequence()];
    while (read.takeIf("|")) options.push(parseSequence());
    return options.length === 1 && options[0] !== undefined ? options[0] : either(...options);
  };
  const parseGroup = (): Regex => {
    const opened = { sign: "(", closing: ")", begin: read.place() };
    if (read.takeIf("?")) {
      if (read.takeIf("<")) {
        if (read.peek() === "=" || read.peek() === "!") throw read.refuse("a lookbehind");
        const name = { sign: "<", closing: ">", begin: read.place() };
        while (read.take(name) !== ">");
      } else if (!read.takeIf(":")) {
        throw read.refuse(read.peek() === "=" || read.peek() === "!" ? "a lookahead" : "flags inside a group");
      }
    }
    const inside = parseAlternatives();
    if (!read.takeIf(")")) throw read.unclosed(opened);
    return inside;
  };
  const parseAtom = (): Regex => {
    const char = read.take();
    if (char === "(") return parseGroup();
    if (char === "[") return oneOf(parseClass(read, where));
    if (char === ".") return oneOf(complementOf(lineEnds));
    if (char === "^") return { kind: "begin" };
    if (char === "$") return { kind: "end" };
    if (char === "\\") return oneOf(read.escaped());
    if (/[*+?]/u.test(char)) throw read.refuse(`${char} behind nothing`);
    return oneOf(charsOf(char));
  };
  const parseSequence = (): Regex => {
    const parts: Regex[] = [];
    while (read.peek() !== undefined && read.peek() !== "|" && read.peek() !== ")") {
      let part = parseAtom();
      for (;;) {
        if (read.takeIf("*")) part = repeat(part, 0, null);
        else if (read.takeIf("+")) part = repeat(part, 1, null);
        else if (read.takeIf("?")) part = repeat(part, 0, 1);
        else if (read.takeIf("{")) {
          const bounds = parseBounds(read);
          if (bounds === null) {
            parts.push(part);
            part = oneOf(charsOf("{"));
            continue;
          }
          part = repeat(part, ...bounds);
        } else break;
        // A lazy repetition matches the same texts as a greedy repetition. So its mark is skipped.
        read.takeIf("?");
      }
      parts.push(part);
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : sequence(...parts);
  };
  const regex = parseAlternatives();
  if (read.peek() !== undefined) throw read.refuse("a ) without a (", read.place() + 1);
  checkDialect(pattern, where, dialect);
  return regex;
};

/** The texts that contain a match of the expression anywhere, as `RegExp.test` does. */
export const anywhere = (regex: Regex): Regex => {
  const rest = repeat(oneOf(allChars), 0, null);
  return sequence(rest, regex, rest);
};
