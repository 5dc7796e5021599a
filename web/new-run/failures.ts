/** Failures of the server in the words of the form, each for the field that it is about. */
import type { Failure } from "../../src/serve/studio/protocol.ts";
import { capital } from "../parts/format.ts";
import { downloadFailure } from "./corpora.ts";
import { commonLabels, labelOf, namedFields } from "./labels.ts";

/** The field of the form that a failure is about: of a group, such as `tokenizer`, its first one. */
export const fieldOf = ({ field }: Failure): string | undefined => {
  if (field === undefined) return undefined;
  if (/^text\./u.test(field)) return "text";
  const first = Object.keys(commonLabels).find((path) => path === field || path.startsWith(`${field}.`));
  return first ?? namedFields.find((path) => path.startsWith(`${field}.`)) ?? field;
};

/** Whether it is about a field that the form shows. */
export const isOfForm = (failure: Failure): boolean => labelOf(fieldOf(failure) ?? "") !== undefined;

const quoted = (field: string): string => `“${labelOf(field) ?? field}”`;

/** Fields by their paths, and by their last parts where these are two words of code at least: "steps" and "seed" are words of everyone. */
const codeNames: ReadonlyMap<string, string> = new Map(
  namedFields.flatMap((path): (readonly [string, string])[] => {
    const last = path.split(".").at(-1) ?? path;
    const names = /[a-z][A-Z]/u.test(last) ? [path, last] : path.includes(".") ? [path] : [];
    return names.map((name) => [name, path] as const);
  }),
);

const anyName = new RegExp(
  `(?<![\\w.])(?:${[...codeNames.keys()]
    .toSorted((a, b) => b.length - a.length)
    .map((name) => name.replaceAll(".", "\\."))
    .join("|")})(?!\\w|\\.\\w)`,
  "gu",
);

/** A text with the form's names of fields in place of the names in code. */
const inWords = (text: string): string =>
  text
    .replace(/\binitFrom MODEL\b/gu, "a model at “Begin with”")
    .replace(anyName, (name) => quoted(codeNames.get(name) ?? name));

/** What a program or a command has and the form has not. */
const isElsewhere = (way: string): boolean => /\bval(?:Fraction|Data|Text|Documents)\b|(?:^|\s)--[a-z]/u.test(way);

const joined = (ways: readonly string[]): string =>
  ways.length < 2 ? ways.join("") : `${ways.slice(0, -1).join(", ")} or ${ways.at(-1)}`;

/** An error's condition, and its hint. */
const splitAtHint = (error: string): readonly [string, string | undefined] => {
  const at = error.lastIndexOf("; try ");
  return at === -1 ? [error, undefined] : [error.slice(0, at), error.slice(at + "; try ".length)];
};

/** The hint without ways that the form does not have; none left: no hint. */
const withoutElsewhere = (error: string): string => {
  const [condition, hint] = splitAtHint(error);
  if (hint === undefined || !isElsewhere(hint)) return error;
  // "…, then …" is one way of two steps.
  const ways = hint.split(/, or |, (?!then )| or /u).filter((way) => !isElsewhere(way));
  return ways.length === 0 ? condition : `${condition}; try ${joined(ways)}`;
};

/** The error of a text that is too short, in the words of the form; undefined: it is another error. */
const tooShort = (error: string): string | undefined => {
  if (error.startsWith("validation split: the text must have at least 2 tokens"))
    return "Too short: its last tenth is held out and needs 2 tokens, so it must have at least 11 characters. Try more text.";
  const [, least, got] =
    /^training split: .* must have at least (\d+) tokens, one more than the context; got (\d+)/u.exec(error) ?? [];
  if (least === undefined || got === undefined) return undefined;
  const context = Number(got) < 2 ? "" : `, or “Context” ${Number(got) - 1} or less`;
  return `Too short: the part to learn from needs ${least} tokens, one more than “Context”; got ${got}. Try more text${context}.`;
};

/** What is wrong, without the name of the field: to stand at it. */
export const wrongOf = ({ error, field }: Failure): string => {
  const known = downloadFailure(error) ?? tooShort(error);
  if (known !== undefined) return known;
  const names = [`config.${field}: `, `request.${field}: `, `${field}: `, `${field} `];
  const name = field === undefined ? undefined : names.find((one) => error.startsWith(one));
  return inWords(withoutElsewhere(name === undefined ? error : error.slice(name.length)));
};

/**
 * The field at which a failure stands: of two that do not fit each other, the one that the reader changed.
 * @param changed paths of the fields that are changed.
 */
export const placeOf = (failure: Failure, changed: ReadonlySet<string>): string | undefined => {
  const own = fieldOf(failure);
  // Fields of the request, such as the text, are always the reader's.
  if (own?.includes(".") !== true || changed.has(own)) return own;
  const [condition = ""] = failure.error.split("; try ");
  const others = [...condition.matchAll(anyName)].map(([name]) => codeNames.get(name) ?? name);
  return others.find((path) => path !== own && changed.has(path)) ?? own;
};

/** What is wrong, to stand at `place`: another field than its own is named. */
export const wrongAtPlace = (failure: Failure, place: string): string => {
  const own = fieldOf(failure);
  return own === undefined || own === place ? wrongOf(failure) : `${quoted(own)} ${wrongOf(failure)}`;
};

/** An error as sentences: what must hold and what came, then what to try. Code keeps its quotes. */
export const asSentences = (text: string): string => {
  const quoted = text.includes("{") ? text : text.replace(/"([^"]*)"/gu, "“$1”").replace(/(?<=\w)'(?=\w)/gu, "’");
  const [condition, hint] = splitAtHint(quoted);
  const begun = /^[a-z]+(?:[:;, ]|$)/u.test(condition) ? capital(condition) : condition;
  const whole = hint === undefined ? begun : `${begun}. Try ${hint}`;
  return /[\p{L}\p{N}”)]$/u.test(whole) ? `${whole}.` : whole;
};

/**
 * What is wrong at each field: the first fault, and of the others those of fields that are the reader's; the rest follow from these.
 */
export const wrongFields = (failure: Failure, changed: ReadonlySet<string>): ReadonlyMap<string, string> => {
  const found = new Map<string, string>();
  for (const one of [failure, ...(failure.others ?? [])]) {
    const place = isOfForm(one) ? placeOf(one, changed) : undefined;
    if (place === undefined || found.has(place)) continue;
    if (one !== failure && place.includes(".") && !changed.has(place)) continue;
    found.set(place, asSentences(wrongAtPlace(one, place)));
  }
  return found;
};

/** A failure that stands apart from the fields. */
export const failureText = ({ error }: Failure): string =>
  downloadFailure(error) ?? asSentences(inWords(withoutElsewhere(error)));
