/**
 * Tests a server with bad clients. The clients disconnect, read slowly, send invalid requests or keep connections open.
 * During this test, the folder of the model is removed, and the log is written to a full disk. A request must get the
 * same answer alone and under this load.
 * The test fails if the server ends, an answer is incomplete, or an error has the wrong format. It also fails if a text
 * is still generated at the end, or if memory does not return to its earlier level.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { count, mebibytes } from "../lib/statistics.mjs";
import { each, program, start } from "./lib/processes.mjs";
import { randomOf } from "./lib/random.mjs";
import { configFlags, smallConfig, wordsText } from "./lib/small-run.mjs";

const key = "soak-key";
const allowedRise = 64 * 2 ** 20;
/** Maximum time of an answer, in milliseconds. */
const patience = 60_000;

/** @typedef {{ status: number, text: string, headers: import("node:http").IncomingHttpHeaders }} Answer */

/** Starts the server. Resolves when it has printed its address. */
const serve = async (place, log) => {
  // The prefix cache is small, so that it is soon full.
  const limits = ["--per-key", "512", "--parallel", "16", "--cache-mib", "8"];
  const args = ["serve", "run", "--port", "0", "--api-key", key, ...limits, "--log", log];
  const child = spawn(process.execPath, [program, ...args], { cwd: place, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => child.on("exit", (status, signal) => resolve(status ?? signal)));
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (piece) => {
    stderr = (stderr + piece).slice(-10_000);
  });
  for await (const line of createInterface({ input: child.stdout })) {
    child.stdout.resume();
    return { child, ended, port: Number(new URL(line).port), stderr: () => stderr };
  }
  throw new Error(`the server has ended: ${stderr}`);
};

/**
 * Connections with late errors that are ignored. The server may close a connection while the client still sends a body.
 */
const watched = new WeakSet();

/**
 * Sends a request.
 * @param {number} port
 * @param {Agent} agent
 * @param {{ path: string, method?: string, headers?: Record<string, string>, body?: string | Buffer }} what
 * @param {{ leaveAfter?: number, slow?: boolean }} [how] `leaveAfter`: number of bytes after which the client
 * disconnects; `slow`: whether it reads slowly.
 * @returns {Promise<Answer | "left">}
 */
const send = (port, agent, what, { leaveAfter, slow = false } = {}) =>
  new Promise((resolve, reject) => {
    const { path, method = "POST", headers = {}, body } = what;
    const all = { "Content-Type": "application/json", Authorization: `Bearer ${key}`, ...headers };
    const sent = request({ host: "127.0.0.1", port, path, method, agent, headers: all }, (response) => {
      /** @type {Buffer[]} */
      const pieces = [];
      let bytes = 0;
      response.on("data", (piece) => {
        pieces.push(piece);
        bytes += piece.length;
        if (leaveAfter !== undefined && bytes >= leaveAfter) {
          resolve("left");
          sent.destroy();
        } else if (slow) {
          response.pause();
          setTimeout(() => response.resume(), 20);
        }
      });
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          text: Buffer.concat(pieces).toString("utf8"),
          headers: response.headers,
        }),
      );
      response.on("error", (error) => (leaveAfter === undefined ? reject(error) : resolve("left")));
    });
    sent.on("socket", (socket) => {
      if (watched.has(socket)) return;
      watched.add(socket);
      socket.on("error", () => {});
    });
    sent.setTimeout(patience, () => sent.destroy(new Error(`no answer to ${path} in ${patience / 1000} s`)));
    sent.on("error", (error) => {
      if (leaveAfter !== undefined) resolve("left");
      // The server closed a keep-alive connection while it received this request. Clients then retry.
      else if (sent.reusedSocket && "code" in error && error.code === "ECONNRESET")
        resolve(send(port, agent, what, { slow }));
      else reject(error);
    });
    if (leaveAfter === 0) setTimeout(() => sent.destroy(), 1);
    sent.end(body);
  });

/** Sends bytes that are not a request. Resolves to the answer. */
const sendRaw = (port, bytes) =>
  new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    let text = "";
    socket.setTimeout(5000, () => socket.destroy());
    socket.on("data", (piece) => {
      text += piece.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
    socket.end(bytes);
  });

/**
 * Whether an error has the documented format.
 * @param {{ text: string }} answer
 */
const isError = ({ text }) => {
  try {
    const { error } = JSON.parse(text);
    return typeof error.message === "string" && typeof error.type === "string" && "param" in error && "code" in error;
  } catch {
    return false;
  }
};

/** Whether a stream is complete. */
const isWhole = ({ text }) =>
  text.endsWith("data: [DONE]\n\n") &&
  /"finish_reason":"(?:stop|length)"/u.test(text) &&
  text
    .trimEnd()
    .split("\n\n")
    .slice(0, -1)
    // A comment says that the connection is open.
    .filter((event) => !event.startsWith(":"))
    .every((event) => JSON.parse(event.slice("data: ".length)) !== null);

const completion = (random, more = {}) => ({
  path: "/v1/completions",
  body: JSON.stringify({
    prompt: random.pick(["the cat", "a mat ", "and ran on", "sat"]),
    max_tokens: random.between(1, 40),
    ...more,
  }),
});

/**
 * Actions of clients. Each action sends a request. The action returns a description of the mistake in the answer, or
 * undefined.
 */
const behaviours = {
  async whole(port, agent, random) {
    const answer = await send(port, agent, completion(random, random.chance(0.3) ? { n: 3, logprobs: 2 } : {}));
    if (answer === "left" || answer.status === 429) return undefined;
    return answer.status === 200 && JSON.parse(answer.text).choices.length > 0 ? undefined : answer;
  },
  async stream(port, agent, random) {
    const answer = await send(port, agent, completion(random, { stream: true }));
    if (answer === "left" || answer.status === 429) return undefined;
    return answer.status === 200 && isWhole(answer) ? undefined : answer;
  },
  async slow(port, agent, random) {
    const answer = await send(port, agent, completion(random, { stream: true }), { slow: true });
    if (answer === "left" || answer.status === 429) return undefined;
    return answer.status === 200 && isWhole(answer) ? undefined : answer;
  },
  async leaves(port, agent, random) {
    const leaveAfter = random.chance(0.3) ? 0 : random.between(1, 3000);
    await send(port, agent, completion(random, { stream: random.chance(0.7), max_tokens: 500 }), { leaveAfter });
    return undefined;
  },
  async wrong(port, agent, random) {
    const bodies = [
      '{"prompt":"the',
      "[1,2",
      "null",
      '"the"',
      "[".repeat(100_000),
      `{"prompt":${"[".repeat(80)}1${"]".repeat(80)}}`,
      '{"prompt":"the","prompt":"cat"}',
      '{"prompt":"the","__proto__":{"n":2}}',
      '{"prompt":"the","temperature":"hot"}',
      '{"prompt":"the","tools":[{"type":"function"}]}',
      '{"prompt":"the","suffix":"mat"}',
      '{"prompt":[]}',
      '{"prompt":[999999]}',
      '{"prompt":"\\ud800"}',
      '{"prompt":"the","model":"another"}',
      '{"prompt":"the","logit_bias":{"-1":5}}',
      '{"prompt":"the","n":1e9}',
      '{"prompt":"the","max_tokens":-1}',
      Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]),
      random.bytes(200),
    ];
    const path = random.pick(["/v1/completions", "/v1/chat/completions", "/v1/responses", "/tokenize"]);
    const answer = await send(port, agent, { path, body: random.pick(bodies) });
    if (answer === "left") return undefined;
    return answer.status >= 400 && answer.status < 500 && isError(answer) ? undefined : answer;
  },
  async large(port, agent) {
    const body = JSON.stringify({ prompt: "a".repeat(2 ** 24) });
    // The server may close the connection before everything has been sent.
    const answer = await send(port, agent, { path: "/v1/completions", body }, { leaveAfter: 2 ** 20 });
    if (answer === "left") return undefined;
    return answer.status === 413 && isError(answer) ? undefined : answer;
  },
  async stranger(port, agent, random) {
    const headers = random.pick([
      { Authorization: "Bearer another" },
      { Authorization: "" },
      { Origin: "https://example.com" },
      { "Content-Type": "text/plain" },
    ]);
    const answer = await send(port, agent, { ...completion(random), headers });
    return answer !== "left" && [401, 403, 415].includes(answer.status) && isError(answer) ? undefined : answer;
  },
  async elsewhere(port, agent, random) {
    const path = random.pick(["/", "/v1", "/v2/completions", "/v1/models/another", "/v1/completions/../../etc/passwd"]);
    const answer = await send(port, agent, { path, method: "GET" });
    return answer !== "left" && answer.status === 404 && isError(answer) ? undefined : answer;
  },
  async noise(port, _agent, random) {
    await sendRaw(
      port,
      random.pick([
        random.bytes(500),
        "GET / HTTP/1.1\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{",
        `GET /health HTTP/1.1\r\nHost: localhost\r\n${"X-Flood: 1\r\n".repeat(5000)}\r\n`,
        `GET /${"a".repeat(100_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      ]),
    );
    return undefined;
  },
};

/** Weight of each action in the random choice. */
const weights = {
  whole: 25,
  stream: 25,
  slow: 4,
  leaves: 20,
  wrong: 14,
  large: 1,
  stranger: 5,
  elsewhere: 3,
  noise: 3,
};
const deck = Object.entries(weights).flatMap(([name, times]) => Array(times).fill(name));

const metric = (text, name) => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "mu").exec(text)?.[1]);

/**
 * Resident bytes of the process.
 * @param {{ pid?: number | undefined }} child
 */
const residentOf = ({ pid }) => {
  const path = `/proc/${pid}/statm`;
  return existsSync(path) ? Number(readFileSync(path, "utf8").split(" ")[1]) * 4096 : 0;
};

/** An answer without the parts that differ between equal requests. */
const bodyOf = ({ text }) =>
  text
    .replaceAll(/"id":"[^"]*"/gu, "")
    .replaceAll(/"created":\d+/gu, "")
    .replaceAll(/^data: /gmu, "");

/** The text of a stream, joined from its events. */
const sameAnswer = (one, other) => {
  if (!one.text.startsWith("data:")) return bodyOf(one) === bodyOf(other);
  const wordsOf = ({ text }) =>
    [...text.matchAll(/"text":("(?:[^"\\]|\\.)*")/gu)].map(([, word]) => JSON.parse(word)).join("");
  return wordsOf(one) === wordsOf(other);
};

/** @param {{ requests: number, atOnce: number, same: number, seed: number }} options */
export const server = async ({ requests: number, atOnce, same, seed }) => {
  /** @type {string[]} */
  const findings = [];
  const place = mkdtempSync(join(tmpdir(), "foretoken-soak-"));
  writeFileSync(join(place, "text.txt"), wordsText("server", 300));
  const flags = configFlags({ ...smallConfig, model: { ...smallConfig.model, contextLength: 64 } });
  await start(["train", "--data", "text.txt", "--out", "run", "--preset", "book", ...flags], { cwd: place });
  const fullDisk = "/dev/full";
  const running = await serve(place, existsSync(fullDisk) ? fullDisk : join(place, "log"));
  const { port } = running;
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce + 64 });
  let isUp = true;
  void running.ended.then((status) => {
    if (isUp) findings.push(`the server has ended with ${status}: ${running.stderr()}`);
  });

  // First, the requests are sent alone, without load.
  const requestOf = (i) => {
    const random = randomOf(seed, "same", i);
    return completion(random, {
      seed: i,
      ...(random.chance(0.5) ? { stream: true } : { logprobs: random.below(4), n: random.between(1, 2) }),
      ...(random.chance(0.3) ? { presence_penalty: 1, top_p: 0.9 } : {}),
      ...(random.chance(0.2) ? { echo: true } : {}),
    });
  };
  const numbers = Array.from({ length: same }, (_, i) => i);
  /** @type {Map<number, Answer>} */
  const alone = new Map();
  for (const i of numbers) alone.set(i, /** @type {Answer} */ (await send(port, agent, requestOf(i))));
  const misbehave = (i) => {
    const random = randomOf(seed, "client", i);
    const name = random.pick(deck);
    return behaviours[name](port, agent, random).then(
      (wrong) => {
        if (wrong !== undefined)
          findings.push(`client ${i}, ${name}: ${wrong.status} ${String(wrong.text).slice(0, 300)}`);
      },
      (error) => findings.push(`client ${i}, ${name}: ${error.message}`),
    );
  };
  const third = Math.ceil(number / 3);
  const idle = Array.from({ length: 500 }, () => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.on("error", () => {});
    return socket;
  });
  await each(
    Array.from({ length: third }, (_, i) => i),
    atOnce,
    misbehave,
  );
  // At this point, the heaps have the size that these clients need. Ten times as many clients do not need more memory.
  const settled = residentOf(running.child);
  renameSync(join(place, "run"), join(place, "taken-away"));
  let differing = 0;
  const load = each(
    Array.from({ length: number - third }, (_, i) => third + i),
    atOnce,
    misbehave,
  );
  await each(numbers, 32, async (i) => {
    for (;;) {
      const answer = /** @type {Answer} */ (await send(port, agent, requestOf(i)));
      if (answer.status === 429) continue;
      if (!sameAnswer(answer, /** @type {Answer} */ (alone.get(i)))) differing++;
      return;
    }
  });
  await load;
  for (const socket of idle) socket.destroy();
  if (differing > 0) findings.push(`${differing} of ${same} answers differ from those alone`);

  // The server notices at the next token that a client has disconnected.
  let text = "";
  for (let look = 0; look < 100; look++) {
    const answer = /** @type {Answer} */ (await send(port, agent, { path: "/metrics", method: "GET" }));
    text = answer.text;
    if (metric(text, "foretoken_texts") === 0 && metric(text, "foretoken_requests") === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  for (const name of [
    "foretoken_texts",
    "foretoken_texts_running",
    "foretoken_texts_waiting",
    "foretoken_pages_in_use",
  ]) {
    if (metric(text, name) !== 0) findings.push(`${name} is ${metric(text, name)} in the end`);
  }
  const rise = residentOf(running.child) - settled;
  if (rise > allowedRise) findings.push(`the resident set is ${mebibytes(rise)} more`);
  isUp = false;
  running.child.kill("SIGTERM");
  agent.destroy();
  const status = await running.ended;
  if (status !== 0) findings.push(`SIGTERM has ended it with ${status}: ${running.stderr()}`);
  rmSync(place, { recursive: true });
  for (const one of findings.slice(0, 20)) console.error(one);
  console.log(
    `${count(number)} clients, ${atOnce} at a time; ${same} answers alone and beside them, ${differing} differ; resident set ${mebibytes(rise)} more: ${findings.length === 0 ? "nothing lost" : `${findings.length} FAILED`}`,
  );
  return { requests: number, same, differing, rise, failed: findings.length };
};
