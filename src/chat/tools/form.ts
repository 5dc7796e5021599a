/**
 * Finds the format in which a chat template writes tool calls. The code does not depend on names of models. The
 * template renders an answer with known calls. The text around the names and arguments of these calls is the format.
 */
import { CheckpointError, ConfigError } from "../../core/errors/errors.ts";
import { nameFinder } from "../../tokenizer/names-in-text.ts";
import type { SpecialToken } from "../../tokenizer/tokenizer.ts";
import type { TemplateMessage } from "../messages.ts";
import { idLength } from "./tools.ts";

/** A part of a call: fixed text, or text that differs between calls. */
export type CallPart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "name" }
  | { readonly kind: "arguments" }
  | { readonly kind: "id" };

/**
 * Format of an answer with calls. `open` comes before the first call, `between` comes before each further call, and
 * `close` comes at the end.
 */
export interface ToolForm {
  readonly open: string;
  readonly parts: readonly CallPart[];
  /** Null if the template can write only one call. */
  readonly between: string | null;
  readonly close: string;
  /** The beginning of `open`. A call begins wherever this text appears. */
  readonly marker: string;
  /**
   * Whether the marker counts only at the beginning of an answer, because the marker is too short to be recognized
   * elsewhere.
   */
  readonly atStart: boolean;
}

/** Renders messages with the template, and with tools if there are any. */
export type Probe = (messages: readonly TemplateMessage[], tools: readonly unknown[]) => Promise<string>;

/** The special tokens of a tokenizer, and the ids of tokens that end an answer. */
export interface FormTokens {
  readonly specialTokens: readonly SpecialToken[];
  readonly endTokens: readonly number[];
}

const question: TemplateMessage = { role: "user", content: "Zq" };
const words = "Zqx";

/** A call that the template renders, and the tool that is called. The words of the call occur in no other text. */
const sample = (letter: string) => {
  const name = `zq_name_${letter}`;
  const key = `zq_key_${letter}`;
  const value = `zq_value_${letter}`;
  const id = `zqid${letter}`.padEnd(idLength, "0");
  return {
    ...{ name, id },
    written: new RegExp(`\\{\\s*"${key}"\\s*:\\s*"${value}"\\s*\\}`, "gu"),
    tool: {
      type: "function",
      function: {
        ...{ name, description: "Zq." },
        parameters: { type: "object", properties: { [key]: { type: "string", description: "Zq." } }, required: [key] },
      },
    },
    call: { id, type: "function", function: { name, arguments: { [key]: value } } },
  };
};

type Sample = ReturnType<typeof sample>;

/** A part of a call with its position in a text. */
interface Slot {
  readonly kind: "name" | "arguments" | "id";
  readonly from: number;
  readonly to: number;
}

/** The parts of a call in a text, in order. Null if a part is missing or occurs twice. */
const slotsOf = (text: string, { name, id, written }: Sample): readonly Slot[] | null => {
  const placesOf = (word: string): number[] => [...text.matchAll(new RegExp(word, "gu"))].map(({ index }) => index);
  const names = placesOf(name);
  const ids = placesOf(id);
  const [first, ...others] = [...text.matchAll(written)];
  const [at = -1] = names;
  if (first === undefined || others.length > 0 || names.length !== 1 || ids.length > 1) return null;
  const slots: Slot[] = [
    { kind: "name", from: at, to: at + name.length },
    { kind: "arguments", from: first.index, to: first.index + first[0].length },
    ...ids.map((from): Slot => ({ kind: "id", from, to: from + id.length })),
  ];
  return slots.sort((a, b) => a.from - b.from);
};

const commonStart = (one: string, other: string): number => {
  let length = 0;
  while (length < one.length && length < other.length && one[length] === other[length]) length++;
  return length;
};

const commonEnd = (one: string, other: string): number => {
  let length = 0;
  while (length < one.length && length < other.length && one.at(-1 - length) === other.at(-1 - length)) length++;
  return length;
};

/** Maximum number of characters of a format. A longer text also contains instructions, so it is not a format. */
const mostCharacters = 400;

/**
 * Moves a position that is inside a special token's name to the beginning or the end of the name. Other positions stay
 * unchanged.
 */
const besideName = (text: string, at: number, tokens: readonly SpecialToken[], side: "from" | "to"): number => {
  let from = 0;
  for (const stretch of nameFinder(tokens)(text)) {
    const to = from + stretch.text.length;
    if (stretch.id !== undefined && from < at && at < to) return side === "from" ? from : to;
    from = to;
  }
  return at;
};

/** The first fixed part of `open`. It shows that a call begins. */
const markerOf = (
  open: string,
  specialTokens: readonly SpecialToken[],
): Pick<ToolForm, "marker" | "atStart"> | null => {
  const [first] = nameFinder(specialTokens)(open.trimStart());
  if (first === undefined) return null;
  if (first.id !== undefined) return { marker: first.text, atStart: false };
  const [run = ""] = /^[^\s{]+/u.exec(first.text) ?? [];
  // A single bracket or quote occurs in many texts.
  return /[^[({"'\]]/u.test(run) && run.length > 1
    ? { marker: run, atStart: false }
    : { marker: Array.from(first.text)[0] ?? "", atStart: true };
};

const unknown = "a call format without the tool's name, or without the arguments as one JSON object";

/**
 * Finds the format, or the reason why there is no format. @throws the errors of `write`. If the template refuses
 * several calls, nothing is thrown, and the format allows one call.
 */
const readForm = async (
  write: Probe,
  { specialTokens, endTokens }: FormTokens,
): Promise<ToolForm | { readonly fault: string }> => {
  const one = sample("a");
  const two = sample("b");
  const three = sample("c");
  const tools = [one.tool, two.tool, three.tool];
  const told = await write([question], tools);
  if (!told.includes(one.name) || !told.includes(two.name))
    return { fault: "a template that does not show tools to the model" };
  const answer = (samples: readonly Sample[]): Promise<string> =>
    write([question, { role: "assistant", content: "", tool_calls: samples.map(({ call }) => call) }], tools);
  const spoken = await write([question, { role: "assistant", content: words }], tools);
  const called = await answer([one]);
  const ends = specialTokens.filter(({ id }) => endTokens.includes(id)).map(({ name }) => name);
  /** The text before the token that ends the answer. */
  const upToEnd = (text: string, from: number): string =>
    text.slice(0, Math.min(...ends.map((name) => text.indexOf(name, from)).filter((at) => at >= 0), text.length));
  const start = besideName(called, commonStart(spoken, called), specialTokens, "from");
  const said = upToEnd(spoken, start).slice(start);
  const bodyOf = (text: string): string => upToEnd(text, start).slice(start);
  const body = bodyOf(called);
  const own = body.slice(0, besideName(body, body.length - commonEnd(said, body), specialTokens, "to"));
  const slots = slotsOf(own, one);
  const [first] = slots ?? [];
  const last = slots?.at(-1);
  if (slots === null || first === undefined || last === undefined) return { fault: unknown };
  if (own.length > mostCharacters) return { fault: unknown };
  const parts = slots.flatMap(({ kind, to }, i): CallPart[] => {
    const next = slots[i + 1];
    return next === undefined ? [{ kind }] : [{ kind }, { kind: "text", text: own.slice(to, next.from) }];
  });
  const open = own.slice(0, first.from);
  const close = own.slice(last.to);
  const marker = markerOf(open, specialTokens);
  if (marker === null) return { fault: "a call format that cannot be distinguished from other text" };
  // Trailing spaces are removed, because a model may end its answer without trailing spaces.
  const form = { open, parts, between: null, close: close.trimEnd(), ...marker };
  const several = await answer([one, two, three]).catch((error: unknown) => {
    if (error instanceof CheckpointError) return "";
    throw error;
  });
  const all = bodyOf(several);
  const places = [one, two, three].map((each) => slotsOf(all, each));
  /** The text between a call and the next call. */
  const betweenAt = (call: number): string | null => {
    const to = places[call]?.at(-1)?.to;
    const from = places[call + 1]?.[0]?.from;
    return to === undefined || from === undefined || from <= to ? null : all.slice(to, from);
  };
  const isAlike =
    several.startsWith(called.slice(0, start + first.from)) &&
    all.endsWith(close + body.slice(own.length)) &&
    places[0]?.at(-1)?.to === last.to &&
    betweenAt(0) === betweenAt(1);
  return isAlike ? { ...form, between: betweenAt(0) } : form;
};

const known = new WeakMap<object, Promise<ToolForm | { readonly fault: string }>>();

/**
 * The format of tool calls in a template.
 * @param template cache key.
 * @param write renders messages with the template.
 * @param where the model, for errors.
 * @throws ConfigError for a template that does not support tools, or writes calls in an unknown format.
 */
export const toolFormOf = async (
  template: object,
  write: Probe,
  tokens: FormTokens,
  where: string,
): Promise<ToolForm> => {
  const found =
    known.get(template) ??
    readForm(write, tokens).catch((error: unknown) => {
      if (error instanceof CheckpointError) return { fault: error.details.got ?? "a template that fails" };
      known.delete(template);
      throw error;
    });
  known.set(template, found);
  const form = await found;
  if (!("fault" in form)) return form;
  throw new ConfigError({
    where,
    must: "the model's chat template must write tool calls in a format that can be parsed",
    got: form.fault,
    hint: "a model that was trained to call tools",
  });
};
