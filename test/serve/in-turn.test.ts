import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { inTurn } from "#foretoken/serve/http/in-turn.js";
import { useStudio } from "./studio.ts";

const page = useStudio();

const requestsTo = (path: string, host: string, count: number): string =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`.repeat(count);

/** All data that arrives on a connection until the connection ends. */
const allOf = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    let text = "";
    socket.on("data", (piece: Buffer) => {
      text += piece.toString();
    });
    // The server may end the connection while the client is still sending.
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(text));
  });

const answersIn = (text: string): number => text.split("HTTP/1.1 200 OK").length - 1;

test("some requests at once are answered in their order", async () => {
  const { host, port } = new URL(page.address());
  const socket = connect({ host: "127.0.0.1", port: Number(port) });
  const paths = ["runs", "texts", "fields", "runs"];
  const close = `GET /api/v1/texts HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  socket.write(paths.map((path) => requestsTo(`/api/v1/${path}`, host, 1)).join("") + close);
  const text = await allOf(socket);
  expect(answersIn(text)).toBe(5);
  const places = ['{"runs":[]', '{"texts":[]', '"train.steps"', '{"runs":[]', '{"texts":[]'];
  let at = 0;
  for (const place of places) {
    at = text.indexOf(place, at) + 1;
    expect(at, place).toBeGreaterThan(0);
  }
});

test("a flood of requests ends its connection, and other clients are answered meanwhile", async () => {
  const { host, port } = new URL(page.address());
  const floods = Array.from({ length: 4 }, async () => {
    const socket = connect({ host: "127.0.0.1", port: Number(port) });
    socket.write(requestsTo("/api/v1/info", host, 20_000));
    return answersIn(await allOf(socket));
  });
  expect((await page.get("info")).status).toBe(200);
  for (const count of await Promise.all(floods)) expect(count).toBeLessThan(10);
});

test("a request is not begun before the answer to the one before it, nor after its client has left", async () => {
  const begun: { readonly url: string | undefined; readonly response: ServerResponse }[] = [];
  let wake = (): void => undefined;
  const server = createServer(
    inTurn(({ url }, response) => {
      begun.push({ url, response });
      wake();
    }),
  );
  const nextBegun = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  await once(server.listen(0, "127.0.0.1"), "listening");
  try {
    const connected = once(server, "connection") as Promise<[Socket]>;
    const first = nextBegun();
    const client = connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port });
    client.write(["/1", "/2", "/3"].map((path) => requestsTo(path, "a", 1)).join(""));
    await first;
    expect(begun.map(({ url }) => url)).toEqual(["/1"]);
    const second = nextBegun();
    begun[0]?.response.end("one");
    await second;
    expect(begun.map(({ url }) => url)).toEqual(["/1", "/2"]);
    const [socket] = await connected;
    // `once` would throw here. A client that disconnects before it has read everything causes an error event.
    const closed = new Promise((resolve) => socket.on("close", resolve));
    client.destroy();
    await closed;
    begun[1]?.response.end("two");
    // When the server responds on another connection, it has already handled the closed connection.
    const other = connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port });
    const third = nextBegun();
    other.write(requestsTo("/other", "a", 1));
    await third;
    expect(begun.map(({ url }) => url)).toEqual(["/1", "/2", "/other"]);
    other.destroy();
  } finally {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
});
