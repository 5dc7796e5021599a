import type { FinishReason, GenerateEvent } from "../../../generate/generate.ts";
import { host } from "../../process/host.ts";
import { writeJson, writeOut } from "../../process/output.ts";
import { printable, styleFor } from "../../process/terminal.ts";

/** A model's text for standard output: nothing in it moves a terminal's cursor; a pipe gets it unchanged. */
export const shownText = (text: string): string =>
  host.stdout.isTTY ? printable(text, styleFor(host.stdout).symbols.unicode) : text;

/** Most milliseconds that text waits for more: too short to be seen, and many tokens of a small model. */
const longestWait = 5;

/** Another form of an event's text, in which nothing moves a terminal's cursor. */
export type EventText = (event: GenerateEvent) => string;

/** The text of an event. */
const ownText: EventText = (event) => (event.type === "token" ? event.text : "\n");

/**
 * Writes a model's text to standard output as it comes, with a line end after it; with `json`, the events.
 * @param textOf writes it in another form.
 * @returns the finish reason.
 */
export const writeGenerated = async (
  events: AsyncIterable<GenerateEvent>,
  json: boolean,
  textOf?: EventText,
): Promise<FinishReason | undefined> => {
  let waiting = "";
  let writtenAt = Number.NEGATIVE_INFINITY;
  let finishReason: FinishReason | undefined;
  const flush = (): void => {
    if (waiting !== "") writeOut(textOf === undefined ? shownText(waiting) : waiting);
    waiting = "";
  };
  try {
    for await (const event of events) {
      if (event.type === "done") finishReason = event.finishReason;
      if (json) writeJson(event);
      else waiting += (textOf ?? ownText)(event);
      const now = performance.now();
      if (now - writtenAt < longestWait) continue;
      flush();
      writtenAt = now;
      // Keys and signals are handled between two tokens.
      await new Promise(setImmediate);
    }
  } finally {
    flush();
  }
  return finishReason;
};
