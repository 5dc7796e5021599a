/** Explains the error that ended a run: what happened and what to try. The full error is in the details. */
import { labelOf } from "../new-run/labels.ts";
import { capital, count } from "./format.ts";

export interface FailureWords {
  /** What happened, in a sentence. */
  readonly what: string;
  /** What to try, in a sentence. */
  readonly advice: string | undefined;
  /** Terminal command that executes the faulty step again. */
  readonly command: string | undefined;
  /** Original error without the command. Undefined if `what` already contains the whole error. */
  readonly details: string | undefined;
}

/** "NaN" or "infinite" if a number in an error is not finite. Undefined for an ordinary number. */
const notFinite = (value: string | undefined): string | undefined =>
  value === "NaN" ? "NaN" : value?.endsWith("Infinity") === true ? "infinite" : undefined;

/** Describes a step with a faulty loss or gradient. */
const faultyStep = (step: string, condition: string, got: string): string | undefined => {
  const [, loss] = /\bloss ([-\w.+]+)/u.exec(got) ?? [];
  const [, gradNorm] = /\bgradient norm ([-\w.+]+)/u.exec(got) ?? [];
  const at = `at step ${count(Number(step))}`;
  if (/steps in a row may be left out/u.test(condition))
    return `Too many faulty steps in a row were skipped; the last was ${at.slice(3)}.`;
  if (/^weights and moments must stay finite/u.test(condition)) return `A weight became NaN or infinite ${at}.`;
  const [bad, ofGradient] = [notFinite(loss), notFinite(gradNorm)];
  if (bad !== undefined) return `The loss became ${bad} ${at}.`;
  if (ofGradient !== undefined) return `The gradient became ${ofGradient} ${at}.`;
  if (/^the loss must not exceed/u.test(condition) && loss !== undefined) return `The loss jumped to ${loss} ${at}.`;
  if (/^the gradient norm must not exceed/u.test(condition) && gradNorm !== undefined)
    return `The gradient norm jumped to ${gradNorm} ${at}.`;
  return undefined;
};

/** First alternative of a hint, with the form's labels for fields. */
const firstWay = (hint: string): string | undefined => {
  const [way = ""] = hint.split(/; |, | or /u);
  const named = way.replace(/[a-z]\w*(?:\.\w+)+/gu, (path) => labelOf(path)?.toLowerCase() ?? path);
  return named === "" ? undefined : `Try ${named}.`;
};

/** Complete command at the end of an error. */
const commandIn = (failure: string): string | undefined => {
  const [, command] = /; (npx foretoken [^…]+)$/u.exec(failure) ?? [];
  return command;
};

/** @param failure one line with three parts: the condition, the value that violated it, and what to try. */
export const failureWords = (failure: string): FailureWords => {
  const [, step = "", condition = "", got = "", hint = ""] =
    /^step (\d+): (.+?)(?:; got (.+?))?(?:; try (.+))?$/u.exec(failure) ?? [];
  const what = step === "" ? undefined : faultyStep(step, condition, got);
  if (what !== undefined) {
    const command = commandIn(failure);
    const details = command === undefined ? failure : failure.slice(0, -`; ${command}`.length);
    return { what, advice: firstWay(hint), command, details };
  }
  // Upper-case and lower-case letters of a path stay as they are.
  const sentence = /^[a-z]+[:;, ]/u.test(failure) ? capital(failure) : failure;
  return {
    what: /[.!?…]$/u.test(sentence) ? sentence : `${sentence}.`,
    advice: undefined,
    command: undefined,
    details: undefined,
  };
};
