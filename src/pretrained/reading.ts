/** Compares what two models were read as, apart from their weights. */
import { isRecord } from "../core/checks/is-record.ts";
import type { Pretrained } from "./pretrained.ts";

/** The order of keys in a file has no meaning. */
const inKeyOrder = (_: string, value: unknown): unknown =>
  isRecord(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value;

/** Configuration and tokenizer as one text. The order of keys does not change the text. */
export const readingOf = ({ config, tokenizer }: Pick<Pretrained, "config" | "tokenizer">): string =>
  JSON.stringify([config, tokenizer.kind === "none" ? null : tokenizer.toJSON()], inKeyOrder);
