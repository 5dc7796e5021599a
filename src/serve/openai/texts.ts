/** Writes the texts of one request in parallel. */
import { setMaxListeners } from "node:events";
import type { EngineGenerateOptions } from "../../generate/engine-options.ts";
import type { FinishReason } from "../../generate/events.ts";
import type { EngineEvent } from "../../generate/text-engine.ts";
import type { ThreadEngine } from "../../worker/model.ts";
import type { TokenPlace } from "./log-probs.ts";

/** The engine's request for one text. */
export interface TextRequest {
  readonly prompt: readonly number[];
  readonly options: Omit<EngineGenerateOptions, "signal" | "prompt">;
}

/** The part of the text that was written after the previous piece. */
export interface TextPiece {
  /** Index of the request that this text answers. */
  readonly text: number;
  readonly added: string;
  /** Tokens of the prompt. Present only in the first piece, if they were requested. */
  readonly prompt: readonly TokenPlace[];
  readonly tokens: readonly TokenPlace[];
  /** Present only in the last piece. */
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
 * The order in which the texts of a request begin. If several texts have the same prompt, the first text computes the
 * prompt, and the other texts wait.
 */
const beginnings = (requests: readonly TextRequest[]) => {
  const ready: number[] = [];
  const others = new Map<number, number[]>();
  const firstOf = new Map<readonly number[], number>();
  for (const [text, { prompt }] of requests.entries()) {
    const first = firstOf.get(prompt);
    if (first === undefined) {
      firstOf.set(prompt, text);
      others.set(text, []);
      ready.push(text);
    } else others.get(first)?.push(text);
  }
  // Reverse the order, because `pop` takes from the end.
  ready.reverse();
  return {
    next: () => ready.pop(),
    /** Call this after the prompt of `text` was computed. The prompt is then in the KV cache for the waiting texts. */
    wasRead(text: number): void {
      const waiting = others.get(text);
      if (waiting === undefined) return;
      others.delete(text);
      ready.push(...waiting.reverse());
    },
  };
};

/**
 * Writes the texts and yields their pieces as they come. A text continues when the consumer has taken its last piece.
 * @param most maximum number of texts in progress.
 * @param signal ends all texts at the next token.
 */
export async function* writeTexts(
  engine: Pick<ThreadEngine, "generateBatches">,
  requests: readonly TextRequest[],
  most: number,
  signal: AbortSignal,
): AsyncGenerator<TextPiece, void, undefined> {
  const order = beginnings(requests);
  const controller = new AbortController();
  const abort = (): void => controller.abort(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  // Switch off Node's warning about many listeners, because every text in progress listens to the signal.
  setMaxListeners(0, controller.signal);
  const pieces: { readonly piece: TextPiece; readonly taken: () => void }[] = [];
  let failure: { readonly error: unknown } | undefined;
  let wake = (): void => {};
  const running = new Set<Promise<void>>();
  let left = requests.length;
  /** Whether the consumer has stopped. */
  let isOver = false;

  const write = async (text: number): Promise<void> => {
    const { prompt, options } = requests[text] as TextRequest;
    for await (const events of engine.generateBatches({ ...options, prompt, signal: controller.signal })) {
      if (isOver) continue;
      await new Promise<void>((taken) => {
        pieces.push({ piece: pieceOf(text, events), taken });
        wake();
      });
      order.wasRead(text);
      beginMore();
    }
  };
  const beginMore = (): void => {
    while (running.size < most && failure === undefined && !isOver) {
      const text = order.next();
      if (text === undefined) return;
      const work = write(text)
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => {
          running.delete(work);
          left--;
          beginMore();
          wake();
        });
      running.add(work);
    }
  };

  beginMore();
  try {
    while (left > 0 || pieces.length > 0) {
      const next = pieces.shift();
      if (next === undefined) {
        if (failure !== undefined) break;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      try {
        yield next.piece;
      } finally {
        // This code is in `finally`, because the consumer may stop at the `yield` above.
        next.taken();
      }
    }
    if (failure !== undefined) throw failure.error;
  } finally {
    signal.removeEventListener("abort", abort);
    isOver = true;
    controller.abort();
    for (const { taken } of pieces.splice(0)) taken();
    await Promise.all(running);
  }
}
