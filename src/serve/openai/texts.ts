/** Texts of one request, written side by side by an engine. */
import type { FinishReason } from "../../generate/events.ts";
import type { EngineEvent, EngineGenerateOptions } from "../../generate/text-engine.ts";
import type { ThreadEngine } from "../../worker/model.ts";
import type { TokenPlace } from "./log-probs.ts";

/** What is asked of an engine for one text. */
export interface TextRequest {
  readonly prompt: readonly number[];
  readonly options: Omit<EngineGenerateOptions, "signal" | "prompt">;
}

/** What has come of a text since the last piece. */
export interface TextPiece {
  /** Number of its request. */
  readonly text: number;
  readonly added: string;
  /** Tokens of the prompt, in the first piece where they were asked for. */
  readonly prompt: readonly TokenPlace[];
  readonly tokens: readonly TokenPlace[];
  /** Set in its last piece. */
  readonly end: { readonly reason: FinishReason; readonly newTokens: number } | null;
}

const pieceOf = (text: number, events: readonly EngineEvent[]): TextPiece => {
  let added = "";
  const prompt: TokenPlace[] = [];
  const tokens: TokenPlace[] = [];
  let end: TextPiece["end"] = null;
  for (const event of events) {
    if (event.type === "prompt") {
      for (const { id, logProb, candidates = [] } of event.tokens) prompt.push({ id, logProb, candidates });
    } else if (event.type === "token") {
      added += event.text;
      tokens.push({ id: event.id, logProb: event.logProb ?? null, candidates: event.candidates ?? [] });
    } else end = { reason: event.finishReason, newTokens: event.newTokens };
  }
  return { text, added, prompt, tokens, end };
};

/**
 * Writes the texts and yields their pieces as they come. Of texts with a common prompt the first one reads it; the others begin
 * when it is read, and find it in memory.
 * @param signal frees all of them at the next token.
 */
export async function* writeTexts(
  engine: Pick<ThreadEngine, "generateBatches">,
  requests: readonly TextRequest[],
  signal: AbortSignal,
): AsyncGenerator<TextPiece, void, undefined> {
  type Next = { readonly text: number; readonly next: IteratorResult<readonly EngineEvent[], void> };
  const open = new Map<number, AsyncGenerator<readonly EngineEvent[], void, undefined>>();
  const pending = new Map<number, Promise<Next>>();
  const ask = (text: number): void => {
    const source = open.get(text);
    if (source === undefined) return;
    const next = source.next().then((found): Next => ({ text, next: found }));
    // It is thrown where it is waited for.
    next.catch(() => {});
    pending.set(text, next);
  };
  const begin = (text: number): void => {
    const { prompt, options } = requests[text] as TextRequest;
    open.set(text, engine.generateBatches({ ...options, prompt, signal }));
    ask(text);
  };
  /** Of each prompt its other texts, which wait for the first one. */
  const others = new Map<number, number[]>();
  const firstOf = new Map<readonly number[], number>();
  requests.forEach(({ prompt }, text) => {
    const first = firstOf.get(prompt);
    if (first === undefined) firstOf.set(prompt, text);
    else others.set(first, [...(others.get(first) ?? []), text]);
  });
  try {
    for (const text of firstOf.values()) begin(text);
    while (pending.size > 0) {
      const { text, next } = await Promise.race(pending.values());
      pending.delete(text);
      for (const other of others.get(text) ?? []) begin(other);
      others.delete(text);
      if (next.done === true) {
        open.delete(text);
        continue;
      }
      yield pieceOf(text, next.value);
      ask(text);
    }
  } finally {
    await Promise.all([...open.values()].map((one) => one.return().catch(() => undefined)));
  }
}
