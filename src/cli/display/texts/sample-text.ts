import type { SampleEvent, StartEvent } from "../../../runs/events.ts";
import { printable, type Style } from "../../process/terminal.ts";
import { wrapText } from "./width.ts";

/**
 * A sample, with a vertical rule at its left and the prompt in bold. If the run learns conversations, the prompt is a
 * question, and labels show who speaks.
 */
export const sampleLines = (
  event: SampleEvent,
  { documents }: Pick<StartEvent, "documents">,
  width: number,
  { symbols, colors }: Style,
): string[] => {
  // The width of a tab depends on its position, so it is replaced by spaces.
  const visible = (text: string): string => printable(text, symbols.unicode).replaceAll("\t", "    ");
  const wrapped = (text: string): readonly string[] => wrapText(text, Math.max(20, width - 2));
  const prompt = visible(event.prompt);
  const text = visible(event.text);
  const ruled = (lines: readonly string[]): string[] => lines.map((line) => `${colors.dim(symbols.rule)} ${line}`);
  if (documents?.chat === true)
    return ruled([
      ...wrapped(`User: ${prompt}`).map((line) => colors.bold(line)),
      ...wrapped(`Model: ${text.trimStart()}`),
    ]);
  const [first = "", ...rest] = wrapped(prompt + text);
  const shown = first.startsWith(prompt) ? colors.bold(prompt) + first.slice(prompt.length) : first;
  return ruled([shown, ...rest]);
};
