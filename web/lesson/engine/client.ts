/**
 * The page's connection to the lesson's worker. Signals contain the state of the worker. The worker starts when it is
 * first needed.
 */
import { type Signal, signal } from "@preact/signals";
import type { Measured, Opened, Outcome, Report, Request, Sample, SessionName } from "./messages.ts";

export type EngineState =
  | { readonly kind: "idle" | "opening" }
  | { readonly kind: "ready"; readonly opened: Opened }
  | { readonly kind: "failed"; readonly error: string };

/**
 * Null if the browser stores trained models. A string is the reason why the browser does not store them. Undefined if
 * this is not known yet.
 */
export const keeping = signal<string | null | undefined>(undefined);

export const engine = signal<EngineState>({ kind: "idle" });

/** Everything that a session has reported. The lists grow in place. `version` changes when the lists change. */
export interface SessionRecord {
  readonly version: Signal<number>;
  readonly running: Signal<boolean>;
  /** Losses of each learner in nats per character, one per step. */
  losses: number[][];
  measured: Measured[];
  samples: Sample[];
  outcomes: readonly Outcome[];
}

const emptyRecord = (): SessionRecord => ({
  version: signal(0),
  running: signal(false),
  losses: [],
  measured: [],
  samples: [],
  outcomes: [],
});

export const sessions: Readonly<Record<SessionName, SessionRecord>> = { model: emptyRecord(), race: emptyRecord() };

const forget = (record: SessionRecord): void => {
  record.losses = [];
  record.measured = [];
  record.samples = [];
  record.outcomes = [];
  record.version.value++;
};

/** Steps done. */
export const stepOf = (record: SessionRecord): number => {
  void record.version.value;
  return Math.min(...record.losses.map(({ length }) => length), record.losses.length === 0 ? 0 : Infinity);
};

let worker: Worker | undefined;
let openText: string | undefined;
let calls = 0;
const waiting = new Map<number, (logits: Float32Array) => void>();

const takeLosses = (record: SessionRecord, losses: readonly (readonly number[])[]): void => {
  for (const [i, more] of losses.entries()) {
    const known = record.losses[i] ?? [];
    record.losses[i] = known;
    known.push(...more);
  }
};

/** Whether a report belongs to the previous text. The worker may not have read the new text yet. */
const isLate = ({ kind }: Report): boolean =>
  engine.peek().kind === "opening" && ["losses", "sample", "measured", "outcomes"].includes(kind);

const take = (report: Report): void => {
  if (isLate(report)) return;
  switch (report.kind) {
    case "opened":
      engine.value = { kind: "ready", opened: report.opened };
      return;
    case "failed":
      engine.value = { kind: "failed", error: report.error };
      for (const { running } of Object.values(sessions)) running.value = false;
      return;
    case "logits":
      waiting.get(report.call)?.(report.logits);
      waiting.delete(report.call);
      return;
    case "kept":
      keeping.value = report.problem;
      return;
    case "running":
      sessions[report.session].running.value = report.running;
      return;
    case "fresh":
      forget(sessions[report.session]);
      return;
    case "losses":
      takeLosses(sessions[report.session], report.losses);
      break;
    case "sample":
      sessions[report.session].samples.push(report.sample);
      break;
    case "measured":
      sessions[report.session].measured.push(report.measured);
      break;
    case "outcomes":
      sessions[report.session].outcomes = report.outcomes;
      break;
    default:
      report satisfies never;
      return;
  }
  sessions[report.session].version.value++;
};

/** Whether threads can share memory on this page. If they cannot, the page uses one thread. */
export const isIsolated = (): boolean => globalThis.crossOriginIsolated === true;
/** Maximum number of threads. More threads do not speed up a model of this size. */
const mostThreads = 4;
const threadsHere = (): number =>
  isIsolated() ? Math.max(1, Math.min(mostThreads, navigator.hardwareConcurrency)) : 1;

const start = (): Worker => {
  const started = new Worker(new URL("./lesson-worker.ts", import.meta.url), { type: "module", name: "lesson" });
  started.onmessage = ({ data }: MessageEvent<Report>) => take(data);
  started.onerror = ({ message }) => {
    const got = message === undefined || message === "" ? "an error without a name" : message;
    take({ kind: "failed", error: `lesson: the worker of the page must run; got ${got}; try loading the page again` });
  };
  return started;
};

const send = (request: Request): void => worker?.postMessage(request);

/** Sends a text to the worker, unless the worker has already read this text. @returns whether the text is new. */
export const openEngine = (text: string, prompt: string): boolean => {
  const isNew = openText !== text;
  if (!isNew && engine.peek().kind !== "failed") return false;
  if (engine.peek().kind === "failed") {
    worker?.terminate();
    worker = undefined;
  }
  worker ??= start();
  openText = text;
  engine.value = { kind: "opening" };
  for (const record of Object.values(sessions)) forget(record);
  send({ kind: "open", text, prompt, threads: threadsHere() });
  return isNew;
};

export const trainSession = (session: SessionName): void => send({ kind: "train", session });
export const pauseSession = (session: SessionName): void => send({ kind: "pause", session });
export const trainAgain = (session: SessionName): void => send({ kind: "again", session });

/** Requests the model's logits after `ids`. */
export const askLogits = (ids: readonly number[]): Promise<Float32Array> =>
  new Promise((resolve) => {
    const call = ++calls;
    waiting.set(call, resolve);
    send({ kind: "logits", call, ids });
  });
