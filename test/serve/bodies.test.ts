/** Request bodies that do not end. The tests use real connections and small limits. */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getRequestListener } from "@hono/node-server";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { type BodyLimits, createBodies } from "#foretoken/serve/http/bodies.js";
import { failureAnswer, jsonAnswer, readJson } from "#foretoken/serve/http/json.js";
import { startStudio } from "#foretoken/serve/studio/start.js";

const kib = 1024;
/** Maximum size of one body. Several bodies of this size exceed the limit for all bodies together. */
const most = 64 * kib;

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A server that responds with the length of a text after `answering` has resolved. */
const serverOf = async (given: Partial<BodyLimits>, answering: Promise<unknown> = Promise.resolve()) => {
  const bodies = createBodies({ mostTogether: 100 * kib, periodMs: 60_000, leastBytes: 1, ...given });
  const listener = getRequestListener(
    async (request, { outgoing }) => {
      outgoing.once("close", () => bodies.release(request));
      try {
        const { text } = await readJson(request, z.strictObject({ text: z.string() }), { maxBytes: most }, bodies);
        await answering;
        return jsonAnswer({ length: text.length });
      } catch (error) {
        return failureAnswer(error);
      }
    },
    { overrideGlobalObjects: false },
  );
  const server: Server = createServer((request, response) => void listener(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { bodies, port: (server.address() as AddressInfo).port };
};

interface Client {
  readonly socket: Socket;
  /** The whole response, after the connection has ended or the response is complete. */
  readonly answer: Promise<string>;
}

/** Sends the beginning of a request. */
const begin = (port: number, length: number | "chunked", body = "", path = "/"): Client => {
  const socket = connect({ host: "127.0.0.1", port });
  ends.push(() => socket.destroy());
  const host = `127.0.0.1:${port}`;
  const size = length === "chunked" ? "Transfer-Encoding: chunked" : `Content-Length: ${length}`;
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nOrigin: http://${host}\r\nContent-Type: application/json\r\n${size}\r\n\r\n${body}`,
  );
  const answer = new Promise<string>((resolve) => {
    let text = "";
    socket.on("data", (piece: Buffer) => {
      text += piece.toString();
      if (/\r\n\r\n.*\}$/su.test(text)) resolve(text);
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
  return { socket, answer };
};

const open = '{"text":"';
const textOf = (length: number): string => `${open}${"a".repeat(length)}"}`;
const statusOf = (answer: string): number => Number(answer.split(" ")[1]);

describe("bodies of requests", () => {
  it("are refused in one line when all together would take more, and a header alone takes nothing", async () => {
    const { bodies, port } = await serverOf({});
    const headers = Array.from({ length: 8 }, () => begin(port, most));
    const first = begin(port, most, open + "a".repeat(50 * kib));
    await expect.poll(bodies.taken).toBeGreaterThan(50 * kib);
    const second = begin(port, most, open + "a".repeat(60 * kib));
    const answer = await second.answer;
    expect(statusOf(answer)).toBe(503);
    expect(JSON.parse(answer.split("\r\n\r\n")[1] ?? "")).toEqual({
      error: `the bodies of all requests together must have at most ${100 * kib} bytes; got more; try again in some seconds`,
    });
    // The refused request takes no memory, and the first request may continue.
    await expect.poll(bodies.taken).toBeLessThan(66 * kib);
    first.socket.write(`${"a".repeat(most - 50 * kib - open.length - 2)}"}`);
    expect(statusOf(await first.answer)).toBe(200);
    await expect.poll(bodies.taken).toBe(0);
    for (const { socket } of headers) socket.destroy();
  });

  it("give their memory back when the connection ends on the way", async () => {
    const { bodies, port } = await serverOf({});
    for (const end of ["destroy", "resetAndDestroy", "end"] as const) {
      const { socket } = begin(port, most, open + "a".repeat(50 * kib));
      await expect.poll(bodies.taken).toBeGreaterThan(50 * kib);
      socket[end]();
      await expect.poll(bodies.taken).toBe(0);
    }
  });

  it("take their memory until the request is answered", async () => {
    let answer: (() => void) | undefined;
    const answering = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const { bodies, port } = await serverOf({}, answering);
    const body = textOf(50 * kib);
    const waiting = begin(port, body.length, body);
    await expect.poll(bodies.taken).toBeGreaterThan(50 * kib);
    const refused = begin(port, most, open + "a".repeat(60 * kib));
    expect(statusOf(await refused.answer)).toBe(503);
    answer?.();
    expect(await waiting.answer).toContain(`{"length":${50 * kib}}`);
    await expect.poll(bodies.taken).toBe(0);
  });

  it("must come at a pace", async () => {
    const { bodies, port } = await serverOf({ periodMs: 20, leastBytes: kib });
    const { answer } = begin(port, most, open);
    expect(statusOf(await answer)).toBe(408);
    expect(await answer).toMatch(
      /\{"error":"the body of a request must arrive at a rate of at least 1024 bytes in 0\.02 s; got \d+; try again"\}$/u,
    );
    await expect.poll(bodies.taken).toBe(0);
  });

  it("take their own bytes, however small the pieces are that they come in", async () => {
    const { bodies, port } = await serverOf({});
    const letters = 20 * kib;
    const { socket, answer } = begin(port, "chunked", `${"1\r\n \r\n".repeat(letters)}`);
    await expect.poll(bodies.taken).toBeGreaterThanOrEqual(letters);
    expect(bodies.taken()).toBeLessThanOrEqual(2 * letters);
    socket.write('c\r\n{"text":"a"}\r\n0\r\n\r\n');
    expect(await answer).toContain('{"length":1}');
  });

  it("without a length are refused once they are too large, with an answer", async () => {
    const { bodies, port } = await serverOf({});
    const { answer } = begin(port, "chunked", `${(most + 1).toString(16)}\r\n${" ".repeat(most + 1)}\r\n`);
    expect(statusOf(await answer)).toBe(413);
    await expect.poll(bodies.taken).toBe(0);
  });
});

it("all requests of a studio share its limit", async () => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-bodies-"));
  const limits = { mostTogether: 100 * kib, periodMs: 60_000, leastBytes: 1 };
  const studio = await startStudio({ folder, port: 0, backend: "reference", bodies: limits });
  ends.push(
    () => rm(folder, { recursive: true }),
    () => studio.close(),
  );
  const port = Number(new URL(studio.url).port);
  const letters = open + "a".repeat(60 * kib);
  const answers = ["plan", "generate", "plan"].map((path) => begin(port, most, letters, `/api/v1/${path}`));
  // There is memory for only two of the three requests, so the server refuses one request. Any of the three requests
  // may be refused.
  const refused = await Promise.race(answers.map(({ answer }) => answer));
  expect(statusOf(refused)).toBe(503);
  for (const { socket } of answers) socket.destroy();
  // The memory of the closed requests is free again.
  const name = JSON.stringify({ model: "none", text: "a".repeat(90 * kib) });
  await expect
    .poll(async () => statusOf(await begin(port, name.length, name, "/api/v1/score").answer), { interval: 10 })
    .toBe(404);
});
