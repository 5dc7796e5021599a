import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import { endUntaken } from "#foretoken/serve/http/untaken.js";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A request with a response that the client does not read, and the server's side of this response. */
const asked = async (): Promise<{ readonly response: ServerResponse; readonly client: Socket }> => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port });
  ends.push(
    () => new Promise((resolve) => server.close(resolve)),
    () => client.destroy(),
  );
  client.pause();
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const [, response] = (await once(server, "request")) as [unknown, ServerResponse];
  return { response, client };
};

it("an answer that its client does not take is ended", async () => {
  const { response } = await asked();
  endUntaken(response, 30);
  // The response is larger than the system's buffers.
  response.end(Buffer.alloc(2 ** 25));
  const { socket } = response;
  await once(response, "close");
  // The connection would stay open if the client had read the response.
  expect(socket?.destroyed).toBe(true);
});

it("an answer that is still computed is not, and is taken later", async () => {
  const { response, client } = await asked();
  endUntaken(response, 30);
  await once(response, "timeout");
  response.end("the answer");
  client.resume();
  await once(response, "finish");
});
