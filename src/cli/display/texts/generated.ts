import type { FinishReason, GenerateDoneEvent, GenerateEvent } from "../../../generate/events.ts";
import { host } from "../../process/host.ts";
import { writeJson, writeOut } from "../../process/output.ts";
import { printable, styleFor } from "../../process/terminal.ts";
import { formatCount, formatPlural } from "./format.ts";

/** A model's text for standard output: nothing in it moves a terminal's cursor; a pipe gets it unchanged. */
export const shownText = (text: string): string =>
  host.stdout.isTTY ? printable(text, styleFor(host.stdout).symbols.unicode) : text;

/** Most milliseconds that text waits for more: too short to be seen, and many tokens of a small model. */
const longestWait = 5;

/** Another form of an event's text, in which nothing moves a terminal's cursor. */
export type EventText = (event: GenerateEvent) => string;

/** The text of an event. */
const ownText: EventText = (event) => (event.type === "token" ? event.text : "\n");

/** How fast a text was written. */
export interface WritingPace {
  /** From the request to the last token, reading of the prompt included. */
  readonly seconds: number;
  /** From the first token on, so without reading of the prompt; null: there is only one token. */
  readonly tokensPerSecond: number | null;
}

/** Times a text that is asked for now. */
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
 * Tells people the pace below the text, and how many guessed tokens came true. On standard error, and only on a terminal: a text in a
 * file stays the text alone.
 */
const tellPace = ({ newTokens, guesses }: GenerateDoneEvent, { tokensPerSecond }: WritingPace): void => {
  const { stderr } = host;
  if (!stderr.isTTY) return;
  const { symbols, colors } = styleFor(stderr);
  const facts = [formatPlural(newTokens, "token")];
  if (tokensPerSecond !== null) facts.push(`${formatCount(tokensPerSecond)} tokens/s`);
  if (guesses !== undefined)
    facts.push(`${formatCount(guesses.accepted)} of ${formatPlural(guesses.guessed, "guessed token")} came true`);
  stderr.write(`${colors.dim(facts.join(` ${symbols.dot} `))}\n`);
};

/**
 * Writes a model's text to standard output as it comes, with a line end after it and its pace below, on a terminal; with
 * `json`, the events, and the pace in the last one.
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
  let done: GenerateDoneEvent | undefined;
  const watch = paceWatch();
  const flush = (): void => {
    if (waiting !== "") writeOut(textOf === undefined ? shownText(waiting) : waiting);
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
      // Keys and signals are handled between two tokens.
      await new Promise(setImmediate);
    }
  } finally {
    flush();
  }
  if (done !== undefined && !json) tellPace(done, watch.pace(done.newTokens));
  return done?.finishReason;
};
