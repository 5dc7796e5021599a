import type { FinishReason, GenerateDoneEvent, GenerateEvent } from "../../../generate/events.ts";
import { host } from "../../process/host.ts";
import { writeJson, writeOut } from "../../process/output.ts";
import { printable, styleFor } from "../../process/terminal.ts";
import { formatCount, formatPlural } from "./format.ts";

/**
 * A model's text for standard output. On a terminal, control characters are made visible, so that they cannot move the
 * cursor. A pipe gets the text unchanged.
 */
export const shownText = (text: string): string =>
  host.stdout.isTTY ? printable(text, styleFor(host.stdout).symbols.unicode) : text;

/**
 * Maximum time in milliseconds before text is written. This time is too short to notice, but long enough to collect
 * many tokens of a small model.
 */
const longestWait = 5;

/** Formats an event's text for a terminal. The result must not contain control characters. */
export type EventText = (event: GenerateEvent) => string;

const ownText: EventText = (event) => (event.type === "token" ? event.text : "\n");

/** Speed at which a text was written. */
export interface WritingPace {
  /** Seconds from the request to the last token, including the time to process the prompt. */
  readonly seconds: number;
  /**
   * Speed after the first token, so it does not include the time to process the prompt. Null if the text has only one
   * token.
   */
  readonly tokensPerSecond: number | null;
}

/** Starts to measure the time of writing a text. */
const paceWatch = (): { readonly token: () => void; readonly pace: (tokens: number) => WritingPace } => {
  const asked = performance.now();
  let first: number | undefined;
  let last = asked;
  return {
    token() {
      last = performance.now();
      first ??= last;
    },
    pace(tokens) {
      const writing = last - (first ?? last);
      return { seconds: (last - asked) / 1000, tokensPerSecond: writing > 0 ? (1000 * (tokens - 1)) / writing : null };
    },
  };
};

/**
 * Prints the speed and the number of accepted guesses below the text. These lines are written only to a terminal, on
 * standard error. A file gets only the text.
 */
const tellPace = ({ newTokens, guesses }: GenerateDoneEvent, { tokensPerSecond }: WritingPace): void => {
  const { stderr } = host;
  if (!stderr.isTTY) return;
  const { symbols, colors } = styleFor(stderr);
  const facts = [formatPlural(newTokens, "token")];
  if (tokensPerSecond !== null) facts.push(`${formatCount(tokensPerSecond)} tokens/s`);
  if (guesses !== undefined)
    facts.push(`${formatCount(guesses.accepted)} of ${formatPlural(guesses.guessed, "guessed token")} accepted`);
  stderr.write(`${colors.dim(facts.join(` ${symbols.dot} `))}\n`);
};

/**
 * Writes a model's text to standard output as it is generated, followed by a line end. On a terminal, the speed comes
 * next. With `json` it writes the events; the last event contains the speed.
 * @param textOf formats an event's text; default: the text itself.
 * @param before what the caller has written on the same line.
 * @returns the finish reason.
 */
export const writeGenerated = async (
  events: AsyncIterable<GenerateEvent>,
  json: boolean,
  textOf?: EventText,
  before = "",
): Promise<FinishReason | undefined> => {
  let waiting = "";
  let written = before;
  let writtenAt = Number.NEGATIVE_INFINITY;
  let done: GenerateDoneEvent | undefined;
  const watch = paceWatch();
  const flush = (): void => {
    if (waiting === "") return;
    writeOut(textOf === undefined ? shownText(waiting) : waiting);
    written = waiting;
    waiting = "";
  };
  try {
    for await (const event of events) {
      if (event.type === "done") done = event;
      else watch.token();
      if (json) writeJson(event.type === "done" ? { ...event, ...watch.pace(event.newTokens) } : event);
      else waiting += (textOf ?? ownText)(event);
      const now = performance.now();
      if (now - writtenAt < longestWait) continue;
      flush();
      writtenAt = now;
      // Lets keys and signals be handled between two tokens.
      await new Promise(setImmediate);
    }
  } catch (error) {
    flush();
    // The error gets its own line.
    if (!json && written !== "" && !written.endsWith("\n")) writeOut("\n");
    throw error;
  }
  flush();
  if (done !== undefined && !json) tellPace(done, watch.pace(done.newTokens));
  return done?.finishReason;
};
