import { z } from "zod";
import { hasRisen } from "./rise.ts";

const step = z.int().min(0);

const start = z.object({
  type: z.literal("start"),
  parameters: z.number(),
  backend: z.string(),
  instructionSet: z.string(),
  trainTokens: z.number(),
  valTokens: z.number(),
  vocabSize: z.number(),
  documents: z
    .object({ train: z.number(), val: z.number(), trainTargets: z.number(), valTargets: z.number(), chat: z.boolean() })
    .optional(),
});
const stepDone = z.object({ type: z.literal("step"), step });
const evaluation = z.object({
  type: z.literal("eval"),
  step,
  trainLoss: z.number().nullable(),
  valLoss: z.number(),
  natsPerCharacter: z.number(),
  bitsPerByte: z.number(),
  reason: z.enum(["begin", "interval", "end"]),
  best: z.boolean().default(false),
  averaged: z.object({ valLoss: z.number(), best: z.boolean() }).optional(),
});
const sample = z.object({ type: z.literal("sample"), step, prompt: z.string(), text: z.string() });
const checkpoint = z.object({ type: z.literal("checkpoint"), step });
const done = z.object({ type: z.literal("done"), step, reason: z.enum(["finished", "patience", "interrupted"]) });

const notedEventSchema = z.discriminatedUnion("type", [start, stepDone, evaluation, sample, checkpoint, done]);

/** Fields of a run's events that later readers need. Every `TrainEvent` matches this type. */
export type NotedEvent = z.infer<typeof notedEventSchema>;
export type NotedStart = z.infer<typeof start>;
export type NotedEval = z.infer<typeof evaluation>;
export type NotedSample = z.infer<typeof sample>;
export type NotedDone = z.infer<typeof done>;

/** Parses a line of `metrics.jsonl` as an event. Returns undefined if the line is damaged or is not an event. */
export const parseNoted = (line: unknown): NotedEvent | undefined => notedEventSchema.safeParse(line).data;

const failed = z.object({ type: z.literal("failed"), step, error: z.string() });
/**
 * The last line of a run that ended with an error. The line is not an event. Only the list of runs reads this line, and
 * resuming removes it.
 */
export type NotedFailure = z.infer<typeof failed>;

/**
 * Parses a line of `metrics.jsonl` as the error of a failed run. Returns undefined if the line is not such an error.
 */
export const parseFailure = (line: unknown): NotedFailure | undefined => failed.safeParse(line).data;

/**
 * The best evaluation: the last evaluation with kept weights. The best evaluation usually has the lowest loss. But if a
 * run lost its best weights, its comparison of evaluations started again.
 */
export const bestEval = (evals: readonly NotedEval[]): NotedEval | undefined => evals.findLast(({ best }) => best);

/** The best evaluation of averaged weights; undefined if there is none. */
export const bestAveraged = (evals: readonly NotedEval[]): NotedEval | undefined =>
  evals.findLast(({ averaged }) => averaged?.best === true);

/** Whether the validation loss was rising at the last evaluation; then more steps would not help. */
export const isRising = (evals: readonly NotedEval[]): boolean => {
  const [best, last] = [bestEval(evals), evals.at(-1)];
  if (best === undefined || last === undefined) return false;
  return hasRisen(last.valLoss, best.valLoss, evals.length - 1 - evals.indexOf(best));
};
