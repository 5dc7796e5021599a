/** Closes connections of clients that do not read their answers. */
import type { ServerResponse } from "node:http";

/**
 * Closes the connection if bytes of the answer wait and the client reads none of them for `ms` milliseconds. Otherwise
 * such a client could hold the memory of its answer for any time. While an answer is still being computed, no bytes
 * wait, so the connection stays open.
 */
export const endUntaken = (response: ServerResponse, ms: number): void => {
  response.setTimeout(ms, () => {
    if (response.writableLength > 0) response.destroy();
  });
};
