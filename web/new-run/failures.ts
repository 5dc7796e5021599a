/** Rewrites the server's errors with the labels of the form, and finds the field of each error. */
import type { Failure } from "../../src/serve/studio/protocol.ts";
import { capital } from "../parts/format.ts";
import { downloadFailure } from "./corpora.ts";
import { commonLabels, labelOf, namedFields } from "./labels.ts";

/**
 * Field of the form to which the failure belongs. If the failure is about a group, such as `tokenizer`, this is the
 * first field of the group.
 */
export const fieldOf = ({ field }: Failure): string | undefined => {
  if (field === undefined) return undefined;
  if (/^text\./u.test(field)) return "text";
  const first = Object.keys(commonLabels).find((path) => path === field || path.startsWith(`${field}.`));
  return first ?? namedFields.find((path) => path.startsWith(`${field}.`)) ?? field;
};

/** Whether the form shows the field to which the failure belongs. */
export const isOfForm = (failure: Failure): boolean => labelOf(fieldOf(failure) ?? "") !== undefined;

const quoted = (field: string): string => `“${labelOf(field) ?? field}”`;

/**
 * Names of fields in errors: the full path, and the last part of the path if it is in camel case. A short last part,
 * such as "steps" or "seed", is left out because it is also an ordinary word.
 */
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

/** Replaces names of fields in code by their labels in the form. */
const inWords = (text: string): string =>
  text
    .replace(/\binitFrom MODEL\b/gu, "a model at “Begin with”")
    .replace(anyName, (name) => quoted(codeNames.get(name) ?? name));

/** Whether a hint names an option of programs or commands that the form does not have. */
const isElsewhere = (way: string): boolean => /\bval(?:Fraction|Data|Text|Documents)\b|(?:^|\s)--[a-z]/u.test(way);

const joined = (ways: readonly string[]): string =>
  ways.length < 2 ? ways.join("") : `${ways.slice(0, -1).join(", ")} or ${ways.at(-1)}`;

/** Splits an error into its condition and its hint. */
const splitAtHint = (error: string): readonly [string, string | undefined] => {
  const at = error.lastIndexOf("; try ");
  return at === -1 ? [error, undefined] : [error.slice(0, at), error.slice(at + "; try ".length)];
};

/**
 * Removes from the hint the alternatives that the form does not have. Removes the whole hint if no alternative remains.
 */
const withoutElsewhere = (error: string): string => {
  const [condition, hint] = splitAtHint(error);
  if (hint === undefined || !isElsewhere(hint)) return error;
  // "…, then …" is one alternative with two steps.
  const ways = hint.split(/, or |, (?!then )| or /u).filter((way) => !isElsewhere(way));
  return ways.length === 0 ? condition : `${condition}; try ${joined(ways)}`;
};

/** Message for a text that is too short. Undefined for all other errors. */
const tooShort = (error: string): string | undefined => {
  if (error.startsWith("validation split: the text must have at least 2 tokens"))
    return "The text is too short: its last tenth is held out and must have 2 tokens. So the text must have at least 11 characters. Try more text.";
  const [, least, got] =
    /^training split: .* must have at least (\d+) tokens, one more than the context; got (\d+)/u.exec(error) ?? [];
  if (least === undefined || got === undefined) return undefined;
  const context = Number(got) < 2 ? "" : `, or “Context” ${Number(got) - 1} or less`;
  return `The text is too short: its training part must have ${least} tokens, one more than “Context”; got ${got}. Try more text${context}.`;
};

/** Message for conversations without a model that can hold them. Undefined for all other errors. */
const needsModel = (error: string): string | undefined => {
  const [, got] = /^initFrom: conversations need a model with a chat template; got ([^;]+);/u.exec(error) ?? [];
  if (got === undefined) return undefined;
  return got === "random weights"
    ? "The text holds conversations. Choose the model that learns to answer: one that already holds conversations."
    : "This model has no chat template, so it cannot learn conversations. Choose another model.";
};

/** Message for a place next to the field: without the name of the field. */
export const wrongOf = ({ error, field }: Failure): string => {
  const known = downloadFailure(error) ?? tooShort(error) ?? needsModel(error);
  if (known !== undefined) return known;
  const names = [`config.${field}: `, `request.${field}: `, `${field}: `, `${field} `];
  const name = field === undefined ? undefined : names.find((one) => error.startsWith(one));
  return inWords(withoutElsewhere(name === undefined ? error : error.slice(name.length)));
};

/**
 * Field next to which a failure is shown. If two fields contradict each other, this is the field that the user changed.
 * @param changed paths of the changed fields.
 */
export const placeOf = (failure: Failure, changed: ReadonlySet<string>): string | undefined => {
  const own = fieldOf(failure);
  // Fields of the request, such as the text, are always set by the user.
  if (own?.includes(".") !== true || changed.has(own)) return own;
  const [condition = ""] = failure.error.split("; try ");
  const others = [...condition.matchAll(anyName)].map(([name]) => codeNames.get(name) ?? name);
  return others.find((path) => path !== own && changed.has(path)) ?? own;
};

/** Message next to the field `place`. If the failure belongs to another field, the message names that field. */
export const wrongAtPlace = (failure: Failure, place: string): string => {
  const own = fieldOf(failure);
  return own === undefined || own === place ? wrongOf(failure) : `${quoted(own)} ${wrongOf(failure)}`;
};

/**
 * Turns an error into sentences: first the condition and the value, then the hint. Code in the error keeps its
 * quotation marks.
 */
export const asSentences = (text: string): string => {
  const quoted = text.includes("{") ? text : text.replace(/"([^"]*)"/gu, "“$1”").replace(/(?<=\w)'(?=\w)/gu, "’");
  const [condition, hint] = splitAtHint(quoted);
  const begun = /^[a-z]+(?:[:;, ]|$)/u.test(condition) ? capital(condition) : condition;
  const whole = hint === undefined ? begun : `${begun}. Try ${hint}`;
  return /[\p{L}\p{N}”)]$/u.test(whole) ? `${whole}.` : whole;
};

/**
 * Message for each wrong field. The first failure is always included. Later failures are included only for fields that
 * the user set, because failures of other fields are consequences.
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

/** Message for a failure that is not shown next to a field. */
export const failureText = ({ error }: Failure): string =>
  downloadFailure(error) ?? asSentences(inWords(withoutElsewhere(error)));
