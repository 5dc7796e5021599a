/** The file that texts are written to, a line for each prompt in their order: what a killed command has left is gone on with. */
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

/** The line of a text. */
export const textLine = (prompt: FilePrompt, index: number, text: Omit<ManyText, "index" | "ids">): TextLine => {
  const { finishReason, promptTokens, newTokens } = text;
  const id = prompt.id === undefined ? {} : { id: prompt.id };
  return { index, ...id, prompt: prompt.options.prompt, text: text.text, finishReason, promptTokens, newTokens };
};

/** What is in the file. */
export interface WrittenTexts {
  /** In the order of their prompts. */
  readonly texts: readonly string[];
  /** Bytes of its whole lines. */
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
    got: `${path}, whose line ${line} is not a text of prompt ${line}`,
    hint: "another name",
  });

/** The beginning of what follows the whole lines of a file. */
const tailOf = async (path: string, from: number): Promise<string> => {
  const file = await openRegularFile(path).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (file === undefined) return "";
  try {
    const { bytesRead, buffer } = await file.read(new Uint8Array(32), 0, 32, from);
    return new TextDecoder().decode(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
};

/**
 * The texts that a file holds: those of the first prompts. Half a line at its end does not count.
 * @throws ConfigError for a file with anything else; nothing is changed.
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
  const begun = await tailOf(path, end);
  const wanted = `{"index":${texts.length},`;
  if (!begun.startsWith(wanted) && !wanted.startsWith(begun)) throw foreign(path, texts.length + 1);
  return { texts, end };
};

/** Opens the file to add texts after the ones that are there; half a line at its end is taken away. */
export const openTexts = async (path: string, { end }: WrittenTexts): Promise<JsonLines> => {
  const lines = await openJsonLines(path);
  await truncate(path, end);
  return lines;
};
