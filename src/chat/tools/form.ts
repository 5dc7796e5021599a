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
  const tools = [one.tool, two.tool];
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
  const start = commonStart(spoken, called);
  const said = upToEnd(spoken, start).slice(start);
  const bodyOf = (text: string): string => upToEnd(text, start).slice(start);
  const body = bodyOf(called);
  const tail = commonEnd(said, body);
  const own = body.slice(0, body.length - tail);
  const slots = slotsOf(own, one);
  const [first] = slots ?? [];
  const last = slots?.at(-1);
  if (slots === null || first === undefined || last === undefined) return { fault: unknown };
  const parts = slots.flatMap(({ kind, to }, i): CallPart[] => {
    const next = slots[i + 1];
    return next === undefined ? [{ kind }] : [{ kind }, { kind: "text", text: own.slice(to, next.from) }];
  });
  const open = own.slice(0, first.from);
  const close = own.slice(last.to);
  const marker = markerOf(open, specialTokens);
  if (marker === null) return { fault: "a form in which nothing tells a call from other text" };
  const form = { open, parts, between: null, close, ...marker };
  const both = await answer([one, two]).catch((error: unknown) => {
    if (error instanceof CheckpointError) return "";
    throw error;
  });
  const bodyOfBoth = bodyOf(both);
  const to = slotsOf(bodyOfBoth, one)?.at(-1)?.to;
  const from = slotsOf(bodyOfBoth, two)?.[0]?.from;
  const isAlike =
    both.startsWith(called.slice(0, start + first.from)) &&
    bodyOfBoth.endsWith(close + body.slice(body.length - tail)) &&
    to === last.to;
  return isAlike && to !== undefined && from !== undefined && from > to
    ? { ...form, between: bodyOfBoth.slice(to, from) }
    : form;
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
