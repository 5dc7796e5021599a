/**
 * Reads and writes the file of texts: one line for each prompt, in order. If a command was killed, the next command
 * continues its file.
 */
import { truncate } from "node:fs/promises";
import { ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { openRegularFile } from "../../core/system/regular-file.node.ts";
import type { ManyText } from "../../generate/generate-many.ts";
import { parseLine } from "../../io/json-line.ts";
import { type JsonLines, openJsonLines, readWholeLines } from "../../io/jsonl.node.ts";
import type { FilePrompt } from "./prompts-file.ts";

/** A line of the file. */
export interface TextLine extends Omit<ManyText, "ids" | "skipped"> {
  readonly id?: string | number;
  readonly prompt: string | readonly number[];
}

/** Line of the file for a text. */
export const textLine = (prompt: FilePrompt, index: number, text: Omit<ManyText, "index" | "ids">): TextLine => {
  const { finishReason, promptTokens, newTokens } = text;
  const id = prompt.id === undefined ? {} : { id: prompt.id };
  return { index, ...id, prompt: prompt.options.prompt, text: text.text, finishReason, promptTokens, newTokens };
};

/** Contents of an existing file. */
export interface WrittenTexts {
  /** The texts, in the order of the prompts. */
  readonly texts: readonly string[];
  /** Number of bytes in the complete lines. */
  readonly end: number;
}

const belongs = (line: unknown, { id, options }: FilePrompt, index: number): line is TextLine => {
  if (typeof line !== "object" || line === null) return false;
  const given = line as Partial<TextLine>;
  return (
    given.index === index &&
    given.id === id &&
    typeof given.text === "string" &&
    JSON.stringify(given.prompt) === JSON.stringify(options.prompt)
  );
};

const foreign = (path: string, line: number): ConfigError =>
  new ConfigError({
    where: "--out",
    must: "must be a new file, or an unfinished file with texts of these prompts",
    got: `${path}: line ${line} is not a text of prompt ${line}`,
    hint: "another name",
  });

/** The bytes from the beginning of the line of a text up to the text itself. */
const beginningOf = ({ id, options }: FilePrompt, index: number): Buffer => {
  const known = { index, ...(id === undefined ? {} : { id }), prompt: options.prompt, text: "" };
  return Buffer.from(JSON.stringify(known).slice(0, -'"}'.length));
};

/** The bytes after the complete lines, at most `most`. */
const tailOf = async (path: string, from: number, most: number): Promise<Buffer> => {
  const file = await openRegularFile(path).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (file === undefined) return Buffer.of();
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(most), 0, most, from);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
};

/**
 * Reads the texts of a file. The texts belong to the first prompts. An incomplete last line is ignored.
 * @throws ConfigError if the file contains other lines. The file is not changed.
 */
export const readTexts = async (path: string, prompts: readonly FilePrompt[]): Promise<WrittenTexts> => {
  const texts: string[] = [];
  let end = 0;
  for await (const piece of readWholeLines(path)) {
    for (const text of piece.lines) {
      const line = parseLine(text);
      const prompt = prompts[texts.length];
      if (prompt === undefined || !belongs(line, prompt, texts.length)) {
        throw foreign(path, texts.length + 1);
      }
      texts.push(line.text);
    }
    end = piece.end;
  }
  const next = prompts[texts.length];
  const wanted = next === undefined ? Buffer.of() : beginningOf(next, texts.length);
  // One byte more, because nothing may follow the text of the last prompt.
  const tail = await tailOf(path, end, wanted.length + 1);
  const begun = next === undefined ? tail : tail.subarray(0, wanted.length);
  if (!begun.equals(wanted.subarray(0, begun.length))) throw foreign(path, texts.length + 1);
  return { texts, end };
};

/** Opens the file to append texts. An incomplete last line is removed. */
export const openTexts = async (path: string, { end }: WrittenTexts): Promise<JsonLines> => {
  const lines = await openJsonLines(path);
  await truncate(path, end);
  return lines;
};
