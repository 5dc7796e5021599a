/** Writes texts with models, and computes probabilities of given texts, one task at a time. */

import { ShapeError } from "../../core/errors/errors.ts";
import { measureTokens } from "../../evaluate/evaluate.ts";
import { readPrompt } from "../../generate/options.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { readText } from "../../tokenizer/unknown.ts";
import { failureOf } from "../http/json.ts";
import type { ServerEvent } from "../http/sse.ts";
import type { Jobs } from "./jobs.ts";
import type { Models } from "./models.ts";
import type { ChatEvent, ScoreAnswer, ScoreRequest, WriteRequest, WritingEvent } from "./protocol.ts";
import type { RunShelf } from "./runs.ts";
import type { Turn, Turns } from "./turns.ts";

export interface WritingParts {
  readonly models: Models;
  readonly turns: Turns;
  readonly jobs: Jobs;
  readonly shelf: RunShelf;
  /**
   * Milliseconds after which the server drops a client that reads nothing, because such a client must not delay the run
   * and other texts.
   */
  readonly patienceMs: number;
}

/** @param where the field with the ids. @throws ShapeError for an id outside the vocabulary. */
export const checkIds = (ids: readonly number[], { vocabSize }: Tokenizer, where: string): void => {
  const wrong = ids.find((id) => id >= vocabSize);
  if (wrong === undefined) return;
  throw new ShapeError({ where, must: `token ids must be whole numbers in [0, ${vocabSize})`, got: String(wrong) });
};

/** This studio's run, which pauses while a text is written. */
const pausedRuns = ({ jobs }: WritingParts): readonly string[] => {
  const name = jobs.current();
  return name === undefined ? [] : [name];
};

/** Runs that pause while a text is written, and runs of other processes that use the cores at the same time. */
export const runsMeanwhile = async (
  parts: WritingParts,
): Promise<{ readonly paused: readonly string[]; readonly sharedWith: readonly string[] }> => {
  const { runs } = await parts.shelf.list();
  const sharedWith = runs.flatMap(({ name, owner }) => (owner === "elsewhere" ? [name] : []));
  return { paused: pausedRuns(parts), sharedWith };
};

async function* events(
  parts: WritingParts,
  place: string,
  request: WriteRequest,
  signal: AbortSignal,
): AsyncGenerator<WritingEvent, void, undefined> {
  const { settings = {}, candidates = 0, promptIds: more = [], prompt, headsOff = [], constraint, speculate } = request;
  const { unknown = "error" } = settings;
  const model = await parts.models.load(place, { headsOff, signal });
  const { tokenizer } = model;
  checkIds(more, tokenizer, "promptIds");
  // If the earlier text had no prompt, the new text begins with the tokens of the earlier text only.
  const isBranch = prompt === "" && more.length > 0;
  const read = isBranch ? undefined : readPrompt(tokenizer, prompt, unknown);
  const ids = [...(read?.ids ?? []), ...more];
  yield { type: "begin", promptIds: ids, ...(await runsMeanwhile(parts)) };
  const skipped = read?.skipped;
  const form = constraint === undefined ? {} : { constraint, constrainedPrompt: more.length };
  for await (const event of model.generate({ ...settings, prompt: ids, candidates, ...form, speculate, signal })) {
    yield event.type === "done" && skipped !== undefined ? { ...event, skipped } : event;
  }
}

/**
 * Waits for a turn and yields the events of a text. If writing fails, the last event has `type: "failed"`.
 * @param write makes the events. The signal of `write` is aborted when the client has disconnected or reads nothing.
 * @param outer signal of the connection.
 */
export async function* inItsTurn(
  parts: Pick<WritingParts, "turns" | "patienceMs">,
  write: (signal: AbortSignal) => AsyncGenerator<WritingEvent | ChatEvent, void, undefined>,
  outer: AbortSignal,
): AsyncGenerator<readonly ServerEvent[], void, undefined> {
  const controller = new AbortController();
  const { signal } = controller;
  let turn: Turn | undefined;
  const leave = (): void => {
    controller.abort();
    turn?.release();
  };
  outer.addEventListener("abort", leave);
  try {
    outer.throwIfAborted();
    turn = await parts.turns.take(signal);
    for await (const data of write(signal)) {
      const timer = setTimeout(leave, parts.patienceMs);
      try {
        yield [{ data }];
      } finally {
        clearTimeout(timer);
      }
    }
  } catch (error) {
    if (outer.aborted) return;
    yield [{ data: { type: "failed", ...failureOf(error) } satisfies WritingEvent }];
  } finally {
    outer.removeEventListener("abort", leave);
    leave();
  }
}

/** Writes a text. @param place place of the model. */
export const writeText = (
  parts: WritingParts,
  place: string,
  request: WriteRequest,
  outer: AbortSignal,
): AsyncGenerator<readonly ServerEvent[], void, undefined> =>
  inItsTurn(parts, (signal) => events(parts, place, request, signal), outer);

/** Computes the probabilities of a text's tokens. @param place place of the model. */
export const scoreText = async (
  parts: WritingParts,
  place: string,
  { text, candidates = 0, unknown = "error", headsOff = [] }: Omit<ScoreRequest, "model">,
  signal: AbortSignal,
): Promise<ScoreAnswer> => {
  const turn = await parts.turns.take(signal);
  try {
    const model = await parts.models.load(place, { headsOff, signal });
    const { ids, skipped } = readText(model.tokenizer, text, unknown, "text", "without it");
    const { tokens, total, mean } = await model.score(ids, { candidates, signal });
    const { characters, bytes } = measureTokens(ids, model.tokenizer);
    return {
      tokens,
      predicted: { tokens: tokens.filter(({ logProb }) => logProb !== null).length, characters, bytes },
      total,
      natsPerToken: -mean,
      natsPerCharacter: -total / characters,
      bitsPerByte: -total / Math.LN2 / bytes,
      ...(skipped === undefined ? {} : { skipped }),
      paused: pausedRuns(parts),
    };
  } finally {
    turn.release();
  }
};
