/**
 * Handles the requests of one connection one after another. If a client sends many requests at once (pipelining), Node
 * starts all of them. Starting all requests would waste work and memory on a client that may never read the responses.
 * Browsers do not use pipelining.
 */
import type { RequestListener } from "node:http";
import type { Socket } from "node:net";

/** Maximum number of waiting requests of a connection. A connection with more waiting requests is closed. */
const mostWaiting = 8;

/**
 * Wraps a listener. A request starts when the previous response on the same connection has been sent. Requests of a
 * closed connection are dropped.
 */
export const inTurn = (listener: RequestListener): RequestListener => {
  /** The waiting requests of each connection that is answering a request. */
  const waiting = new WeakMap<Socket, (() => void)[]>();
  return (request, response) => {
    const { socket } = request;
    // Node reports all requests that arrived together, even if the connection was closed in the meantime.
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
