/**
 * Follows the event log of a run, `metrics.jsonl`, while the run writes it. The reading begins at a given byte of the
 * file and does not end by itself.
 */
import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { isRecord } from "../../core/checks/is-record.ts";
import { openRegularFile } from "../../core/system/regular-file.node.ts";
import { parseLine } from "../../io/json-line.ts";
import { readWholeLines } from "../../io/jsonl.node.ts";
import { eventVersion } from "../../runs/events.ts";
import { parseNoted } from "../../runs/noted-events.ts";

/** An event of `train` as stored in the event log. */
export type NotedLine = Readonly<Record<string, unknown>> & { readonly type: string };

/**
 * An event, and the position of the byte after its line. Undefined: the position of this line is unknown, but a later
 * event has a known position.
 */
export interface PlacedEvent {
  readonly event: NotedLine;
  readonly end: number | undefined;
}

export type NotesPiece =
  | { readonly kind: "events"; readonly events: readonly PlacedEvent[] }
  /** The event log was replaced, for example by a resumed run. The reader must read it again from the beginning. */
  | { readonly kind: "reset" };

/** Milliseconds to wait for new lines. */
const waitMs = 500;

const step = z.looseObject({
  type: z.literal("step"),
  step: z.int().min(0),
  loss: z.number(),
  learningRate: z.number(),
  gradNorm: z.number(),
  tokensPerSecond: z.number(),
});
const leftOut = z.looseObject({ type: z.enum(["nonfinite", "overfitting"]), step: z.int().min(0) });

/** Parses a line as an event. Returns undefined for a damaged line, or a line of another program. */
const eventOf = (line: string): NotedLine | undefined => {
  const value = parseLine(line);
  if (!isRecord(value) || value.v !== eventVersion) return undefined;
  const isKnown =
    value.type === "step"
      ? step.safeParse(value).success
      : leftOut.safeParse(value).success || parseNoted(value) !== undefined;
  return isKnown ? (value as NotedLine) : undefined;
};

/** The events in complete lines. The last line ends at byte `end`. */
const placed = (lines: readonly string[], end: number): readonly PlacedEvent[] => {
  // Damaged bytes and byte order marks decode to text of another length. Then the positions of earlier line ends are
  // unknown.
  const isExact = !lines.some((line) => line.includes("\ufffd"));
  const events: PlacedEvent[] = [];
  let at = end;
  for (const line of lines.toReversed()) {
    const event = eventOf(line);
    if (event !== undefined) events.push({ event, end: isExact || events.length === 0 ? at : undefined });
    at -= Buffer.byteLength(line) + 1;
  }
  return events.reverse();
};

const statsOf = (path: string): Promise<Stats | undefined> => stat(path).catch(() => undefined);

/** Whether a line ends right before byte `at`. */
const isLineEnd = async (path: string, at: number): Promise<boolean> => {
  if (at === 0) return true;
  const file = await openRegularFile(path).catch(() => undefined);
  if (file === undefined) return false;
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(1), 0, 1, at - 1);
    return bytesRead === 1 && buffer[0] === 10;
  } finally {
    await file.close();
  }
};

/** Waits `waitMs` milliseconds, or until the signal is aborted. */
const wait = (signal: AbortSignal): Promise<void> => pause(waitMs, undefined, { signal }).catch(() => undefined);

/**
 * Follows the event log at `path` from byte `after`, which must be the end of a line. The function reads only when the
 * consumer requests the next event. The stream ends after a reset, and when the signal is aborted.
 */
export async function* followNotes(
  path: string,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<NotesPiece, void, undefined> {
  let end = after;
  /** Size of the file at the last read. The size prevents repeated reads of an incomplete last line. */
  let seen = -1;
  let first = await statsOf(path);
  if (end > (first?.size ?? 0) || !(await isLineEnd(path, end))) {
    yield { kind: "reset" };
    return;
  }
  while (!signal.aborted) {
    const now = await statsOf(path);
    const isOther = first !== undefined && (now === undefined || now.ino !== first.ino || now.dev !== first.dev);
    if (isOther || (now?.size ?? 0) < end) {
      yield { kind: "reset" };
      return;
    }
    first ??= now;
    if (now !== undefined && now.size > end && now.size !== seen) {
      seen = now.size;
      for await (const { lines, end: read } of readWholeLines(path, end)) {
        end = read;
        const events = placed(lines, end);
        if (events.length > 0) yield { kind: "events", events };
        if (signal.aborted) return;
      }
    }
    await wait(signal);
  }
}
