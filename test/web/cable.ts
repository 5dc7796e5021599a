/** A proxy between a browser and a server. The proxy can interrupt the connection. */
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll } from "vitest";

export interface Cable {
  readonly address: () => string;
  /** Breaks all connections, including new connections. */
  readonly pull: () => void;
  readonly plug: () => void;
}

export const useCable = (): Cable => {
  let plugged = true;
  const proxy = createServer((request, response) => {
    if (!plugged) {
      request.socket.destroy();
      return;
    }
    const { url = "", method, headers } = request;
    const sent = httpRequest(url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    sent.on("error", () => response.destroy());
    response.on("close", () => sent.destroy());
    request.pipe(sent);
  });
  beforeAll(() => new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done)));
  afterAll(async () => {
    proxy.closeAllConnections();
    await new Promise((done) => proxy.close(done));
  });
  return {
    address: () => `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    pull() {
      plugged = false;
      proxy.closeAllConnections();
    },
    plug() {
      plugged = true;
    },
  };
};
