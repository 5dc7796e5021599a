/**
 * Formats of strings and numbers that a schema may name. The formats come from RFC 3339, 3986, 4122, 4291, 5321 and
 * OpenAPI.
 */
import type { Dfa } from "../automata/dfa.ts";
import { dfaOf } from "../automata/from-regex.ts";
import type { NumberRange } from "../automata/numbers.ts";
import { parseRegex } from "../automata/parse-regex.ts";

const leapYear = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)";
const date = `([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|${leapYear}-02-29)`;
const time = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)";

const byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const ipv4 = `(${byte}\\.){3}${byte}`;
const group = "[0-9a-fA-F]{1,4}";
/** An address of eight groups. With "::", it has fewer groups. An IPv4 address may replace the last two groups. */
const ipv6 = [
  `(${group}:){7}${group}`,
  `(${group}:){6}${ipv4}`,
  ...Array.from({ length: 7 }, (_, before) => {
    const left = before === 0 ? "" : `${group}(:${group}){${before - 1}}`;
    const most = 6 - before;
    const right = most === 0 ? `(${group})?` : `(${group}(:${group}){0,${most}})?`;
    return `${left}::${right}`;
  }),
  ...Array.from({ length: 5 }, (_, before) => {
    const left = before === 0 ? "" : `${group}(:${group}){${before - 1}}`;
    return `${left}::(${group}:){0,${4 - before}}${ipv4}`;
  }),
].join("|");

const letters = "[a-zA-Z0-9]";
const label = (length: number): string => `${letters}([-a-zA-Z0-9]{0,${length - 2}}${letters})?`;
const anyLabel = `${letters}+(-+${letters}+)*`;
const atom = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+";

const percent = "%[0-9a-fA-F]{2}";
const pathChar = `([a-zA-Z0-9._~!$&'()*+,;=:@-]|${percent})`;
const scheme = "[a-zA-Z][a-zA-Z0-9+.-]*:";
const host = `(\\[(${ipv6})\\]|([a-zA-Z0-9._~!$&'()*+,;=-]|${percent})*)`;
const authority = `(([a-zA-Z0-9._~!$&'()*+,;=:-]|${percent})*@)?${host}(:[0-9]*)?`;
const hierarchy = `(//${authority}(/${pathChar}*)*|/(${pathChar}+(/${pathChar}*)*)?|${pathChar}+(/${pathChar}*)*)`;
const tail = `(\\?(${pathChar}|[/?])*)?(#(${pathChar}|[/?])*)?`;

const amounts = (units: string): string[] =>
  Array.from(units, (_, first) =>
    Array.from(units.slice(first), (unit, i) => (i === 0 ? `[0-9]+${unit}` : `([0-9]+${unit})?`)).join(""),
  );
const hours = `T(${amounts("HMS").join("|")})`;

/** A pattern for each format. The whole text must match the pattern. Null allows every text. */
const patterns: Readonly<Record<string, string | null>> = {
  date,
  time,
  "date-time": `${date}[Tt ]${time}`,
  duration: `P((${amounts("YMD").join("|")})(${hours})?|${hours}|[0-9]+W)`,
  email: `${atom}(\\.${atom})*@(${anyLabel}\\.)+${anyLabel}`,
  // A name has at most 253 characters.
  hostname: `(${label(63)}\\.){0,2}${label(63)}|(${label(30)}\\.){0,7}${label(30)}`,
  ipv4,
  ipv6,
  uri: `${scheme}${hierarchy}${tail}`,
  "uri-reference": `(${scheme})?(${hierarchy})?${tail}`,
  url: `(https?|ftp)://(${anyLabel}\\.)+[a-zA-Z]{2,20}(:[0-9]{2,5})?(/[!-~]*)?`,
  uuid: "(urn:uuid:)?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
  "json-pointer": "(/([^~/]|~[01])*)*",
  password: null,
  binary: null,
};

/** Number formats of OpenAPI. */
const ranges: Readonly<Record<string, Partial<NumberRange>>> = {
  int32: { integer: true, minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
  int64: { integer: true },
  float: {},
  double: {},
};

/** Names of all formats. */
export const formatNames: readonly string[] = [...Object.keys(patterns), ...Object.keys(ranges)];

export const isFormat = (name: string): boolean => Object.hasOwn(patterns, name) || Object.hasOwn(ranges, name);

export const formatRange = (name: string): Partial<NumberRange> | null =>
  Object.hasOwn(ranges, name) ? (ranges[name] ?? null) : null;

const compiled = new Map<string, Dfa>();

/** The automaton of a format. Null if the format allows every text. */
export const formatDfa = (name: string): Dfa | null => {
  const pattern = patterns[name] ?? null;
  if (pattern === null) return null;
  const known = compiled.get(name);
  if (known !== undefined) return known;
  const made = dfaOf(parseRegex(pattern, `format ${name}`), `format ${name}`);
  compiled.set(name, made);
  return made;
};
