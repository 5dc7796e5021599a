/**
 * Handles the requests of one connection one after another. Node reads all requests that a client has sent (pipelining)
 * and starts all of them at once. So work and memory would be spent on a client that may never read the answers, or has
 * left. Browsers do not pipeline.
 */
import type { RequestListener } from "node:http";
import type { Socket } from "node:net";

/** Maximum number of waiting requests of a connection. A connection with more is closed. */
const mostWaiting = 8;

/**
 * Wraps a listener: a request starts when the previous answer on its connection has been sent. Requests of a closed
 * connection are dropped.
 */
export const inTurn = (listener: RequestListener): RequestListener => {
  /** Waiting requests of each connection that is answering a request. */
  const waiting = new WeakMap<Socket, (() => void)[]>();
  return (request, response) => {
    const { socket } = request;
    // Node reports all requests that arrived together, even after the connection was closed.
    if (socket.destroyed) return;
    const begin = (): void => {
      response.once("close", () => {
        const next = socket.destroyed ? undefined : waiting.get(socket)?.shift();
        if (next === undefined) waiting.delete(socket);
        else next();
      });
      listener(request, response);
    };
    const queue = waiting.get(socket);
    if (queue === undefined) {
      waiting.set(socket, []);
      begin();
    } else if (queue.length < mostWaiting) queue.push(begin);
    else socket.destroy();
  };
};
