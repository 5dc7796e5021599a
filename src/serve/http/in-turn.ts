/**
 * Requests of one connection, one after the other. Node reads all requests that a client has sent before their answers, and hands
 * them on at once: work and memory for each would be spent on a client that may never read, or has left. No browser does so.
 */
import type { RequestListener } from "node:http";
import type { Socket } from "node:net";

/** More requests that wait on one connection end it. */
const mostWaiting = 8;

/** A listener that begins a request when the answer before it on the same connection is sent; those of a closed one are dropped. */
export const inTurn = (listener: RequestListener): RequestListener => {
  /** Requests that wait for the one being answered. A connection without an entry answers none. */
  const waiting = new WeakMap<Socket, (() => void)[]>();
  return (request, response) => {
    const { socket } = request;
    // What was sent together is handed on together, even when the connection was ended on the way.
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
