import type { Server } from "node:http";

/** Resolves when the server listens. @throws the system's error if the server cannot listen. */
export const listen = (server: Server, port: number, host: string): Promise<void> =>
  new Promise((done, fail) => {
    server.once("error", fail);
    server.listen({ port, host }, () => {
      server.off("error", fail);
      done();
    });
  });
