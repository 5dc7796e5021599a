import { appendFile, cp, link, mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getRequestListener } from "@hono/node-server";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { eventAnswer, type ServerEvent as Made } from "#foretoken/serve/http/sse.js";
import type { RunListAnswer, RunSeries } from "#foretoken/serve/studio/protocol.js";
import { type Studio, startStudio } from "#foretoken/serve/studio/start.js";
import { train } from "#foretoken/worker/train.node.js";
import { catText, eventsOf, firstEvent, notesOf, pageAt, type ServerEvent, smallRun } from "./studio.ts";

let folder = "";
let studio: Studio | undefined;
const page = pageAt(
  () => folder,
  () => studio?.url ?? "",
);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-studio-"));
  const { config } = smallRun("", 6);
  const out = page.path("runs", "a");
  for await (const event of train({ text: catText, out, config: config as object, backend: "wasm", threads: 1 }))
    expect(event.v).toBe(1);
  studio = await startStudio({ folder: page.path("runs"), port: 0, backend: "wasm", threads: 1 });
});

afterAll(async () => {
  await studio?.close();
  await rm(folder, { recursive: true });
});

const firstOf = async (
  events: AsyncGenerator<ServerEvent, void, undefined>,
  isIt: (event: ServerEvent) => boolean,
): Promise<ServerEvent> => {
  for (;;) {
    const { value } = await events.next();
    if (value === undefined) throw new Error("the stream has ended without it");
    if (isIt(value)) return value;
  }
};

const metrics = (name: string): string => page.path("runs", name, "metrics.jsonl");

const copyOfRun = async (name: string): Promise<void> => {
  await cp(page.path("runs", "a"), page.path("runs", name), { recursive: true });
};

const step = (number: number): string =>
  `${JSON.stringify({ v: 1, type: "step", step: number, loss: 2, learningRate: 0.1, gradNorm: 1, tokensPerSecond: 9 })}\n`;

test("lines arrive whole, as they are written", async () => {
  await copyOfRun("grows");
  const { offset } = (await page.get<RunSeries>("runs/grows/series")).body;
  const events = eventsOf(await page.stream(`runs/grows/events?after=${offset}`));
  const next = async (): Promise<unknown> => {
    for await (const { event, data } of { [Symbol.asyncIterator]: () => ({ next: () => events.next() }) }) {
      if (event === "run") return data.step;
    }
    return undefined;
  };
  const line = step(7);
  await appendFile(metrics("grows"), line.slice(0, 20));
  const waiting = next();
  // Existing lines arrive. A line that is only half written does not.
  expect((await page.get<RunSeries>("runs/grows/series")).body.offset).toBe(offset);
  await appendFile(metrics("grows"), `${line.slice(20)}${step(8)}`);
  expect([await waiting, await next()]).toEqual([7, 8]);
  await events.return();
});

// The tests are executed in parallel, because each test waits until the server reads the metrics again.
test.concurrent.each([
  ["are replaced", async (path: string) => rename(await replacement(), path)],
  ["are cut", async (path: string) => writeFile(path, step(1))],
  ["are removed", async (path: string) => rm(path)],
])("who follows notes that %s is told", async (_, change) => {
  const name = `changes ${_}`;
  await copyOfRun(name);
  const address = `runs/${encodeURIComponent(name)}`;
  const { offset } = (await page.get<RunSeries>(`${address}/series`)).body;
  const response = await page.stream(`${address}/events?after=${offset}`);
  const events = eventsOf(response);
  await events.next();
  await change(metrics(name));
  const rest: string[] = [];
  for await (const { event } of { [Symbol.asyncIterator]: () => events }) rest.push(event);
  expect(rest.at(-1)).toBe("reset");
});

/** Another file with longer metrics. */
const replacement = async (): Promise<string> => {
  const path = page.path("other.jsonl");
  await writeFile(path, Array.from({ length: 200 }, (_, i) => step(i + 1)).join(""));
  return path;
};

test("hostile lines are passed over, and none of them becomes an event of its own", async () => {
  await copyOfRun("hostile");
  const lines = [
    "no JSON",
    '{"v":1,"type":"step","step":1}',
    '{"v":2,"type":"step","step":7,"loss":1,"learningRate":1,"gradNorm":1,"tokensPerSecond":1}',
    '{"v":1,"type":"step","step":"7","loss":1,"learningRate":1,"gradNorm":1,"tokensPerSecond":1}',
    '{"v":1,"type":"eval"}',
    '{"v":1,"type":"unknown","step":7}',
    '{"v":1,\rdata: forged\r\revent: forged\rdata: {}\r\r"type":"x"}',
    `{"v":1,"type":"sample","step":7,"prompt":"","text":"a\\nevent: forged\\ndata: {}\\n\\n"}\r`,
    `{"v":1,"type":"done","step":7,"reason":"finished","a":${"[".repeat(2000)}${"]".repeat(2000)}}`,
    "null",
    "[]",
    '{"__proto__":{"v":1,"type":"step"}}',
    "\u0000",
  ];
  const { offset } = (await page.get<RunSeries>("runs/hostile/series")).body;
  await appendFile(metrics("hostile"), `${lines.join("\n")}\n`);
  await appendFile(metrics("hostile"), Buffer.concat([Buffer.from([0xff, 0xfe, 0x0a]), Buffer.from(step(9))]));
  const seen: unknown[] = [];
  for await (const { event, data } of eventsOf(await page.stream(`runs/hostile/events?after=${offset}`))) {
    if (event === "summary") continue;
    seen.push([event, data.type, data.step]);
    if (data.step === 9) break;
  }
  expect(seen).toEqual([
    ["run", "sample", 7],
    ["run", "step", 9],
  ]);
  expect((await page.get<RunListAnswer>("runs")).status).toBe(200);
});

test("notes that are a link are not followed; a run behind a link is listed as listRuns does", async () => {
  await copyOfRun("linked");
  await rm(metrics("linked"));
  await writeFile(page.path("secret.jsonl"), step(5));
  await symlink(page.path("secret.jsonl"), metrics("linked"));
  expect((await page.get<RunSeries>("runs/linked/series")).status).toBe(404);
  await cp(page.path("runs", "a"), page.path("outside"), { recursive: true });
  await symlink(page.path("outside"), page.path("runs", "outside"));
  const { runs, skipped } = (await page.get<RunListAnswer>("runs")).body;
  expect(runs.map(({ name }) => name)).toContain("outside");
  expect(skipped).toEqual([{ name: "linked", reason: expect.stringMatching(/regular file; got a link/u) }]);
});

test("a stream that cannot go on says why", async () => {
  await copyOfRun("breaks");
  const events = eventsOf(await page.stream("runs/breaks/events?after=0"));
  await firstOf(events, ({ data }) => data.type === "done");
  const path = metrics("breaks");
  await link(path, page.path("moved.jsonl"));
  // A link to the same file replaces the file at once. The link must not count as another file.
  await symlink(page.path("moved.jsonl"), page.path("link"));
  await rename(page.path("link"), path);
  await appendFile(page.path("moved.jsonl"), step(7));
  const { event, data } = await firstOf(events, (one) => one.event === "failed" || one.event === "run");
  expect([event, data.error]).toEqual(["failed", expect.stringMatching(/regular file; got a link/u)]);
  expect((await events.next()).done).toBe(true);
});

test("the list is sent again when a run comes, and only then", async () => {
  const events = eventsOf(await page.stream("events"));
  const names = async (): Promise<readonly string[]> => {
    const { value } = await events.next();
    const { runs = [] } = (value?.data ?? {}) as unknown as Partial<RunListAnswer>;
    return runs.map(({ name }) => name);
  };
  const before = await names();
  await mkdir(page.path("runs", ".hidden"));
  await copyOfRun("comes");
  const after = await names();
  expect(after.filter((name) => !before.includes(name))).toEqual(["comes"]);
  await events.return();
});

test("an id is where the stream goes on", async () => {
  const notes = await notesOf(page.path("runs", "a"));
  const { id } = await firstEvent(await page.stream("runs/a/events?after=0"), ({ data }) => data.step === 3);
  const address = `${page.address()}api/v1/runs/a/events`;
  const response = await fetch(address, { headers: { "last-event-id": String(id) } });
  const next = await firstEvent(response, ({ event }) => event === "run");
  expect(next.data).toEqual(notes[notes.findIndex(({ step }) => step === 3) + 1]);
  for (const after of ["-1", "x", "1e3", "99999999999999999999"])
    expect((await page.get(`runs/a/events?after=${after}`)).status).toBe(400);
});

const openThings = (): number =>
  process.getActiveResourcesInfo().filter((name) => ["TCPSocketWrap", "Timeout", "FSReqPromise"].includes(name)).length;

test("200 connections leave nothing behind", async () => {
  // fetch keeps a connection open for the next request. This request opens the connection before the test counts
  // connections.
  await (await page.stream("runs/a/events")).body?.cancel();
  const before = openThings();
  const sockets: Socket[] = [];
  const { port, host } = new URL(page.address());
  const connected = Array.from(
    { length: 200 },
    (_, i) =>
      new Promise<void>((resolve) => {
        const path = i % 2 === 0 ? "/api/v1/events" : "/api/v1/runs/a/events?after=0";
        const socket = connect({ host: "127.0.0.1", port: Number(port) }, () => {
          socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
        });
        sockets.push(socket);
        let text = "";
        socket.on("data", (piece: Buffer) => {
          text += piece.toString();
          if (text.includes("event: ")) resolve();
        });
      }),
  );
  await Promise.all(connected);
  expect(openThings()).toBeGreaterThan(before + 200);
  for (const socket of sockets) socket.destroy();
  await vi.waitFor(() => expect(openThings()).toBeLessThanOrEqual(before), { timeout: 20_000 });
});

test("who does not read is sent no more than the system holds", async () => {
  let made = 0;
  let ended = false;
  const piece = "x".repeat(2 ** 20);
  async function* endless(signal: AbortSignal): AsyncGenerator<readonly Made[], void, undefined> {
    try {
      while (!signal.aborted) {
        made++;
        yield [{ data: piece }];
      }
    } finally {
      ended = true;
    }
  }
  const server: Server = createServer(getRequestListener(() => eventAnswer(endless), { overrideGlobalObjects: false }));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const socket = connect({ host: "127.0.0.1", port });
  socket.pause();
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await vi.waitFor(() => expect(made).toBeGreaterThan(0), { timeout: 20_000 });
  // Waits until the server generates nothing more for a thousand turns of the event loop. The buffers of the operating
  // system are then full.
  for (let same = 0, last = made; same < 1000 && made < 200; same = made === last ? same + 1 : 0) {
    last = made;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(made).toBeLessThan(100);
  socket.destroy();
  await vi.waitFor(() => expect(ended).toBe(true), { timeout: 20_000 });
  await new Promise((resolve) => server.close(resolve));
});

test("closing ends the streams that are open", async () => {
  const other = await startStudio({ folder: page.path("runs"), port: 0 });
  const response = await fetch(`${other.url}api/v1/events`);
  const events = eventsOf(response);
  await events.next();
  const ending = events.next().catch(() => "ended");
  await other.close();
  expect(await ending).toBe("ended");
  await other.close();
});
