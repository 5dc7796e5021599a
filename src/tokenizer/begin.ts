/**
 * The token at the beginning of a model's texts (BOS). If a model's tokenizer adds BOS, each prompt begins with exactly
 * one BOS. Each window of training and evaluation also begins with exactly one BOS. BOS is never a target.
 */
import { isRecord } from "../core/checks/is-record.ts";
import { joinIds } from "./special.ts";
import type { SpecialToken, Tokenizer } from "./tokenizer.ts";

/** The processors of a `tokenizer.json` in one list. Nested sequences are flattened. */
const processorsOf = (processor: unknown): readonly Record<string, unknown>[] => {
  if (!isRecord(processor)) return [];
  if (processor.type !== "Sequence") return [processor];
  return Array.isArray(processor.processors) ? processor.processors.flatMap(processorsOf) : [];
};

/** Name of the token that a processor puts before every text. */
const firstOf = (processor: Record<string, unknown>): string | undefined => {
  if (processor.type !== "TemplateProcessing" || !Array.isArray(processor.single)) return undefined;
  const [first] = processor.single as readonly unknown[];
  const special: unknown = isRecord(first) ? first.SpecialToken : undefined;
  return isRecord(special) && typeof special.id === "string" ? special.id : undefined;
};

/** Id of the special token that a `tokenizer.json` puts before every text. Null if there is no such token. */
export const beginOfJson = (json: unknown, specialTokens: readonly SpecialToken[]): number | null => {
  const processors = isRecord(json) ? processorsOf(json.post_processor) : [];
  const name = processors.map(firstOf).find((found) => found !== undefined);
  return specialTokens.find((special) => special.name === name)?.id ?? null;
};

/** The `post_processor` of a `tokenizer.json`, if it puts a token before every text. Null if there is no such token. */
export const beginJson = (begin: SpecialToken | undefined): unknown => {
  if (begin === undefined) return null;
  const { id, name } = begin;
  const special = (type: number) => ({ SpecialToken: { id: name, type_id: type } });
  const sequence = (of: string, type: number) => ({ Sequence: { id: of, type_id: type } });
  return {
    type: "TemplateProcessing",
    single: [special(0), sequence("A", 0)],
    pair: [special(0), sequence("A", 0), special(1), sequence("B", 1)],
    special_tokens: { [name]: { id: name, ids: [id], tokens: [name] } },
  };
};

/** Returns the tokenizer with another BOS token, or without BOS. */
export const beginningWith = <Kind extends Tokenizer>(tokenizer: Kind, begin: number | null): Kind => {
  if ((tokenizer.beginOfText ?? null) === begin) return tokenizer;
  const special = tokenizer.specialTokens.find(({ id }) => id === begin);
  if (special === undefined && begin !== null) return tokenizer;
  const toJSON = (): unknown => ({ ...(tokenizer.toJSON() as object), post_processor: beginJson(special) });
  return { ...tokenizer, beginOfText: begin, toJSON };
};

/** The token at the beginning of each window of a text. Undefined if there is no such token. */
export const beginOf = ({ beginOfText }: Pick<Tokenizer, "beginOfText">): number | undefined =>
  beginOfText ?? undefined;

/** Ids of a prompt. BOS is added unless the text already begins with BOS. */
export const withBegin = (tokenizer: Pick<Tokenizer, "beginOfText">, ids: Int32Array): Int32Array => {
  const begin = beginOf(tokenizer);
  return begin === undefined || ids[0] === begin ? ids : joinIds([Int32Array.of(begin), ids]);
};
