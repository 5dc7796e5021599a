/** Answers that their clients do not take. */
import type { ServerResponse } from "node:http";

/**
 * Ends the connection of an answer of which bytes wait to be sent, and none is taken for `ms` milliseconds: else each such
 * client holds the memory of its answer for as long as it likes. An answer that is still computed has nothing to be taken.
 */
export const endUntaken = (response: ServerResponse, ms: number): void => {
  response.setTimeout(ms, () => {
    if (response.writableLength > 0) response.destroy();
  });
};
