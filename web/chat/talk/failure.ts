/** Says in sentences why there is no answer. */
import type { Failure } from "../../../src/serve/studio/protocol.ts";
import { asSentences } from "../../new-run/failures.ts";
import { refusalWords } from "../../tokens/refusal.ts";

export const whyOf = (failure: Failure): string => {
  if (failure.characters !== undefined) return refusalWords(failure, "message");
  return asSentences(failure.error.replace(/^(message|answer|model): (?=must )/u, "the $1 "));
};
