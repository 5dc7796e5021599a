/** Closes connections of clients that do not read their responses. */
import type { ServerResponse } from "node:http";

/**
 * Closes the connection if bytes of the response wait and the client reads nothing for `ms` milliseconds. Otherwise
 * such a client could keep the memory of its response occupied for ever. While the server still computes a response, no
 * bytes wait, so the connection stays open.
 */
export const endUntaken = (response: ServerResponse, ms: number): void => {
  response.setTimeout(ms, () => {
    if (response.writableLength > 0) response.destroy();
  });
};
