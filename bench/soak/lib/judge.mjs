/**
 * Judges the result of hostile input. Two results are allowed: the program works, or it refuses the input with one
 * short line.
 */
import { ForetokenError } from "../../../dist/core/errors/errors.js";

const longestRefusal = 300;
/** Line ends, escape codes and other characters that move the cursor. */
const control = /\p{Cc}|[\u2028\u2029]/u;

/**
 * The mistake in the text of a refusal. Undefined if the text is correct.
 * @param {string} text without the line end
 */
export const faultOfRefusal = (text) => {
  if (/\ba bug:/u.test(text)) return "a bug";
  if (/\n\s+at .*:\d+/u.test(text)) return "a stack trace";
  if (text.includes("\n")) return "more than one line";
  if (control.test(text)) return "control characters";
  if (text.trim() === "") return "says nothing";
  return text.length > longestRefusal ? `longer than ${longestRefusal} characters` : undefined;
};

/** The beginning of a text, as one line that is safe to print. */
export const excerpt = (text) => {
  const shown = JSON.stringify(text.length > 240 ? `${text.slice(0, 160)} … ${text.slice(-70)}` : text).slice(1, -1);
  return shown.replace(/\p{Cc}|\p{Cf}|\p{Cs}/gu, "?");
};

/**
 * @typedef {{ cause: string, detail: string }} Failure
 */

/** A failure with this cause and text. */
export const failure = (cause, text) => /** @type {Failure} */ ({ cause, detail: excerpt(String(text)) });

/**
 * Judges an error of the library.
 * @returns {Failure | undefined}
 */
export const faultOfError = (error) => {
  if (!(error instanceof Error)) return failure("no Error was thrown", error);
  if (!(error instanceof ForetokenError)) {
    const words = error.message
      .replace(/\d+/gu, "N")
      .replace(/["'`].*["'`]/su, "…")
      .slice(0, 60);
    const [, at = ""] = /\/dist\/(\S+?):\d+/u.exec(error.stack ?? "") ?? [];
    return failure(
      `${error.name}, not a ForetokenError${at === "" ? "" : `, at ${at}`}: ${excerpt(words)}`,
      error.message,
    );
  }
  const fault = faultOfRefusal(error.message);
  return fault === undefined ? undefined : failure(`${error.name}'s message: ${fault}`, error.message);
};

/**
 * Runs `work`, and judges its error if it throws.
 * @param {() => Promise<unknown>} work
 * @returns {Promise<{ refused: boolean, failure?: Failure }>}
 */
export const judged = async (work) => {
  try {
    await work();
    return { refused: false };
  } catch (error) {
    return { refused: true, failure: faultOfError(error) };
  }
};

/**
 * Judges an execution of the program.
 * @param {{ status: number, stdout: string, stderr: string, thrown?: unknown }} outcome
 * @returns {{ refused: boolean, failure?: Failure }}
 */
export const judgedProgram = ({ status, stderr, thrown }) => {
  if (thrown !== undefined) {
    const text = thrown instanceof Error ? `${thrown.message} ${thrown.stack}` : String(thrown);
    return { refused: true, failure: failure("the program threw", text) };
  }
  if (status === 0) return { refused: false };
  const lines = stderr.replace(/\n$/u, "").split("\n");
  const bug = /a bug: (.*);/su.exec(stderr)?.[1];
  if (bug !== undefined) {
    const kind = bug
      .replace(/\d+/gu, "N")
      .replace(/["'`].*["'`]/su, "…")
      .slice(0, 60);
    return { refused: true, failure: failure(`the program says: a bug: ${excerpt(kind)}`, stderr) };
  }
  if (status !== 2) return { refused: true, failure: failure(`exit status ${status}`, stderr) };
  // Notices may be printed before the refusal, for example about skipped binary files.
  const [refusal = "", ...more] = lines.filter((line) => line.startsWith("foretoken: "));
  if (more.length > 0 || refusal !== lines.at(-1))
    return { refused: true, failure: failure("the program's refusal: not one line at the end", stderr) };
  const fault = faultOfRefusal(refusal.replace(/^foretoken: /u, ""));
  const noticeFault = lines.slice(0, -1).some((line) => control.test(line))
    ? "control characters in a notice"
    : undefined;
  const found = fault ?? noticeFault;
  return found === undefined
    ? { refused: true }
    : { refused: true, failure: failure(`the program's refusal: ${found}`, stderr) };
};
