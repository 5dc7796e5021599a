import type { FinishReason, GenerateEvent } from "../../generate/generate.ts";
import { writeJson, writeOut } from "../output.ts";
import { printable, styleFor } from "../terminal.ts";

/** Text of a model for standard output: nothing in it moves a terminal's cursor, and a pipe gets it as it is. */
export const shownText = (text: string): string =>
  process.stdout.isTTY ? printable(text, styleFor(process.stdout).symbols.unicode) : text;

/**
 * Writes what a model writes to standard output as it comes, with a line end after it; with `json` the events.
 * @returns why it ended.
 */
export const writeGenerated = async (
  events: AsyncIterable<GenerateEvent>,
  json: boolean,
): Promise<FinishReason | undefined> => {
  let shown = 0;
  let finishReason: FinishReason | undefined;
  for await (const event of events) {
    if (event.type === "done") finishReason = event.finishReason;
    if (json) writeJson(event);
    else if (event.type === "token") {
      writeOut(shownText(event.text));
      shown += event.text.length;
    } else {
      // What was held back as the beginning of a stop string that did not come.
      writeOut(shownText(`${event.text.slice(shown)}\n`));
    }
    // Keys and signals are heard between two tokens.
    await new Promise(setImmediate);
  }
  return finishReason;
};
