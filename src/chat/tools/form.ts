/**
 * The form in which a chat template writes calls of tools. Nothing is known of models by their names: the template writes an answer
 * with calls that are known, and what stands around their names and arguments is the form.
 */
import { CheckpointError, ConfigError } from "../../core/errors/errors.ts";
import { nameFinder } from "../../tokenizer/names-in-text.ts";
import type { SpecialToken } from "../../tokenizer/tokenizer.ts";
import type { TemplateMessage } from "../messages.ts";
import { idLength } from "./tools.ts";

/** A piece of a call: text that is always the same, or what differs between calls. */
export type CallPart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "name" }
  | { readonly kind: "arguments" }
  | { readonly kind: "id" };

/** How an answer with calls is written: `open`, a call, `between` and a call as often as there are more, `close`. */
export interface ToolForm {
  readonly open: string;
  readonly parts: readonly CallPart[];
  /** Null: the template writes one call alone. */
  readonly between: string | null;
  readonly close: string;
  /** The beginning of `open`, by which a call is known in a text. */
  readonly marker: string;
  /** The marker is so short that it counts at the beginning of an answer alone. */
  readonly atStart: boolean;
}

/** Writes messages out with the template, and with tools if there are any. */
export type Probe = (messages: readonly TemplateMessage[], tools: readonly unknown[]) => Promise<string>;

/** The special tokens of a tokenizer, and which of them end an answer. */
export interface FormTokens {
  readonly specialTokens: readonly SpecialToken[];
  readonly endTokens: readonly number[];
}

const question: TemplateMessage = { role: "user", content: "Zq" };
const words = "Zqx";

/** A call that the template is to write, and its tool. Its texts are found again in no other text. */
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

/** A place in a text. */
interface Slot {
  readonly kind: "name" | "arguments" | "id";
  readonly from: number;
  readonly to: number;
}

/** The places of a call in a text, in order; null: one is missing, or there twice. */
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

/** The most characters of a form: more is no form, but instructions that follow. */
const mostCharacters = 400;

/** The place `at`, or the beginning (or the end) of the special token's name that it is inside of. */
const besideName = (text: string, at: number, tokens: readonly SpecialToken[], side: "from" | "to"): number => {
  let from = 0;
  for (const stretch of nameFinder(tokens)(text)) {
    const to = from + stretch.text.length;
    if (stretch.id !== undefined && from < at && at < to) return side === "from" ? from : to;
    from = to;
  }
  return at;
};

/** What begins a call, as far as a text shows it before anything that varies. */
const markerOf = (
  open: string,
  specialTokens: readonly SpecialToken[],
): Pick<ToolForm, "marker" | "atStart"> | null => {
  const [first] = nameFinder(specialTokens)(open.trimStart());
  if (first === undefined) return null;
  if (first.id !== undefined) return { marker: first.text, atStart: false };
  const [run = ""] = /^[^\s{]+/u.exec(first.text) ?? [];
  // A bracket or a quote alone is in many texts.
  return /[^[({"'\]]/u.test(run) && run.length > 1
    ? { marker: run, atStart: false }
    : { marker: Array.from(first.text)[0] ?? "", atStart: true };
};

const unknown = "a form without the name of a tool and its arguments as one JSON object";

/** The form, or why there is none. @throws what `write` throws, except for a template's refusal. */
const readForm = async (
  write: Probe,
  { specialTokens, endTokens }: FormTokens,
): Promise<ToolForm | { readonly fault: string }> => {
  const one = sample("a");
  const two = sample("b");
  const three = sample("c");
  const tools = [one.tool, two.tool, three.tool];
  const told = await write([question], tools);
  if (!told.includes(one.name) || !told.includes(two.name)) return { fault: "one that tells the model of no tools" };
  const answer = (samples: readonly Sample[]): Promise<string> =>
    write([question, { role: "assistant", content: "", tool_calls: samples.map(({ call }) => call) }], tools);
  const spoken = await write([question, { role: "assistant", content: words }], tools);
  const called = await answer([one]);
  const ends = specialTokens.filter(({ id }) => endTokens.includes(id)).map(({ name }) => name);
  /** A text up to the token that ends the answer. */
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
  if (marker === null) return { fault: "a form in which nothing tells a call from other text" };
  // A model may end where the template writes a space more.
  const form = { open, parts, between: null, close: close.trimEnd(), ...marker };
  const several = await answer([one, two, three]).catch((error: unknown) => {
    if (error instanceof CheckpointError) return "";
    throw error;
  });
  const all = bodyOf(several);
  const places = [one, two, three].map((each) => slotsOf(all, each));
  /** The text between a call and the next one. */
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
 * The form of calls of a template.
 * @param template by which it is remembered.
 * @param write writes messages with it.
 * @param where the model, for errors.
 * @throws ConfigError for a template that takes no tools, or writes calls in a form that is not known.
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
      if (error instanceof CheckpointError) return { fault: error.details.got ?? "one that fails" };
      known.delete(template);
      throw error;
    });
  known.set(template, found);
  const form = await found;
  if (!("fault" in form)) return form;
  throw new ConfigError({
    where,
    must: "the model's chat template must write calls of tools in a form that can be read",
    got: form.fault,
    hint: "a model that was trained to call tools",
  });
};
