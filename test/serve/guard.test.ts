import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isLoopback, namesOf } from "#foretoken/serve/http/guard.js";
import { type Studio, startStudio } from "#foretoken/serve/studio/start.js";
import { catText, raw, smallRun } from "./studio.ts";

let folder = "";
let studio: Studio | undefined;
let address = "";
let host = "";

const secret = "a secret that no answer may have";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-studio-"));
  await writeFile(join(folder, "secret.txt"), secret);
  for (const name of ["page/assets", "runs", "texts/more", "texts/.hidden", "outside"])
    await mkdir(join(folder, name), { recursive: true });
  await writeFile(join(folder, "page/index.html"), "<p>the page</p>");
  await writeFile(join(folder, "page/assets/code-1a2b3c4d.js"), "export {};");
  await writeFile(join(folder, "page/assets/lesson-worker-1a2b3c4d.js"), "export {};");
  await writeFile(join(folder, "page/.env"), secret);
  await symlink(join(folder, "secret.txt"), join(folder, "page/link.txt"));
  await writeFile(join(folder, "texts/cat.txt"), catText);
  await writeFile(join(folder, "texts/more/notes"), "Grüße\n");
  await writeFile(join(folder, "texts/more/picture"), Buffer.from([1, 0, 255, 3]));
  await writeFile(join(folder, "texts/.hidden/a.txt"), secret);
  await symlink(join(folder, "secret.txt"), join(folder, "texts/link.txt"));
  await symlink(join(folder, "outside"), join(folder, "texts/outside"));
  await writeFile(join(folder, "texts/.env"), secret);
  await symlink(join(folder, "texts/.env"), join(folder, "texts/env.txt"));
  await symlink(join(folder, "texts/.hidden"), join(folder, "texts/shown"));
  await symlink(join(folder, "texts/cat.txt"), join(folder, "texts/kitten.txt"));
  await writeFile(join(folder, "outside/a.txt"), secret);
  studio = await startStudio({
    ...{ folder: join(folder, "runs"), texts: join(folder, "texts"), page: join(folder, "page"), port: 0 },
    ...{ backend: "reference" },
  });
  address = studio.url;
  host = new URL(address).host;
});

afterAll(async () => {
  await studio?.close();
  await rm(folder, { recursive: true });
});

const api = "/api/v1/";
const port = (): string => host.split(":")[1] ?? "";
const post = (path: string, body: string | Buffer, headers: Record<string, string> = {}) =>
  raw(address, api + path, {
    method: "POST",
    body,
    headers: { host, origin: `http://${host}`, "content-type": "application/json", ...headers },
  });

/** Sends raw bytes and returns the response, up to the end of the connection. */
const spoken = (request: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port: Number(port()) }, () => socket.end(request));
    let answer = "";
    socket.on("data", (piece: Buffer) => {
      answer += piece.toString();
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
  });

describe("who may ask", () => {
  test.each(["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])("%s is a name of this machine", async (name) => {
    expect((await raw(address, `${api}runs`, { headers: { host: `${name}:${port()}` } })).status).toBe(200);
  });

  test.each([
    ["another name", () => `evil.example:${port()}`],
    ["a name that ends in ours", () => `127.0.0.1.evil.example:${port()}`],
    ["another port", () => "127.0.0.1:1"],
    ["no port", () => "127.0.0.1"],
    ["an address with a user", () => `127.0.0.1@evil.example:${port()}`],
    ["no host at all", () => "a b"],
  ])("%s in Host is refused, for the page too", async (_, name) => {
    for (const path of ["/", `${api}runs`]) {
      const { status, text } = await raw(address, path, { headers: { host: name() } });
      expect([400, 403]).toContain(status);
      expect(text).not.toContain("the page");
    }
  });

  test.each([
    ["no host", () => "GET / HTTP/1.0\r\n\r\n"],
    ["an empty host", () => "GET / HTTP/1.1\r\nHost:\r\n\r\n"],
    ["two hosts", () => `GET / HTTP/1.1\r\nHost: evil.example\r\nHost: ${host}\r\n\r\n`],
    ["a whole address for a path", () => `GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n`],
    ["no version", () => "GET /\r\n\r\n"],
    ["two lengths", () => `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12`],
  ])("a request with %s is refused", async (_, request) => {
    const answer = await spoken(request());
    expect(answer).toMatch(/^HTTP\/1\.1 40[03] /u);
    expect(answer).not.toContain("the page");
  });

  test.each([
    ["origin", "http://evil.example"],
    ["origin", "null"],
    ["origin", "http://localhost:1"],
    ["sec-fetch-site", "cross-site"],
    ["sec-fetch-site", "same-site"],
  ])("%s: %s is refused", async (name, value) => {
    expect((await raw(address, `${api}runs`, { headers: { host, [name]: value } })).status).toBe(403);
    expect((await post("plan", "{}", { [name]: value })).status).toBe(403);
  });

  test("a link of another site leads to the page, and to nothing else", async () => {
    const headers = {
      host,
      "sec-fetch-site": "cross-site",
      "sec-fetch-mode": "navigate",
      "sec-fetch-dest": "document",
    };
    expect((await raw(address, "/runs/a", { headers })).status).toBe(200);
    expect((await raw(address, `${api}runs`, { headers })).status).toBe(403);
    expect((await raw(address, "/", { headers: { ...headers, "sec-fetch-dest": "iframe" } })).status).toBe(403);
    expect((await raw(address, "/", { headers: { ...headers, "sec-fetch-mode": "no-cors" } })).status).toBe(403);
  });

  test("what changes something must be JSON of a known origin", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a", ""])
      expect((await post("plan", "{}", { "content-type": type })).status).toBe(415);
    const headers = { host, "content-type": "application/json" };
    expect((await raw(address, `${api}plan`, { method: "POST", headers, body: "{}" })).status).toBe(403);
    for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS"])
      expect(
        (await raw(address, `${api}runs`, { method, headers: { ...headers, origin: `http://${host}` } })).status,
      ).toBe(405);
  });

  test("the one file that computes may compile WebAssembly and start threads, and asks no other host", async () => {
    const policyOf = async (path: string) => (await raw(address, path)).headers["content-security-policy"] ?? "";
    const computing = await policyOf("/assets/lesson-worker-1a2b3c4d.js");
    expect(computing).toContain("script-src 'self' 'wasm-unsafe-eval';");
    expect(computing).toContain("connect-src 'self' blob:;");
    expect(computing).toContain("worker-src 'self' blob:;");
    expect(computing).toMatch(/^default-src 'none'; .*frame-ancestors 'none'$/u);
    for (const path of ["/", "/assets/lesson-worker.js", "/lesson-worker-1a2b3c4d.js", "/foretoken.browser.js"])
      expect(await policyOf(path)).not.toContain("wasm-unsafe-eval");
  });

  test("the library for pages is the package's own file", async () => {
    const { status, text, headers } = await raw(address, "/foretoken.browser.js");
    expect(status).toBe(200);
    expect(headers["content-type"]).toBe("text/javascript; charset=utf-8");
    expect(text).toBe(await readFile(new URL("../../dist/foretoken.browser.js", import.meta.url), "utf8"));
  });

  test("every answer has the headers that keep others out", async () => {
    const answers = await Promise.all([
      raw(address, "/"),
      raw(address, "/assets/code-1a2b3c4d.js"),
      raw(address, `${api}runs`),
      raw(address, `${api}nothing`),
      raw(address, `${api}events`, { headers: { host: "evil.example" } }),
      raw(address, "/", { headers: { host: "a b" } }),
      post("plan", "{"),
    ]);
    for (const { headers } of answers) {
      expect(headers["content-security-policy"]).toMatch(
        /^default-src 'none'; script-src 'self'; .*frame-ancestors 'none'$/u,
      );
      expect(headers).toMatchObject({
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
      });
      expect(headers["access-control-allow-origin"]).toBeUndefined();
    }
    expect(answers[2]?.headers["cache-control"]).toBe("no-store");
  });

  test("names of an address", () => {
    expect(["127.0.0.1", "127.1.2.3", "::1", "localhost"].map(isLoopback)).toEqual([true, true, true, true]);
    expect(["0.0.0.0", "::", "192.168.1.5", "127.0.0.1.evil.example", "localhost.evil"].map(isLoopback)).toEqual(
      Array(5).fill(false),
    );
    expect(namesOf("studio.lan", "192.168.1.5")).toEqual(["studio.lan", "192.168.1.5"]);
    expect(namesOf("127.1", "127.0.0.1")).toContain("localhost");
    for (const [host, bound] of [
      ["0", "0.0.0.0"],
      ["0.0.0.0", "0.0.0.0"],
      ["::", "::"],
    ] as const) {
      expect(namesOf(host, bound)).toContain("127.0.0.1");
      for (const own of ownAddresses()) expect(namesOf(host, bound)).toContain(own);
    }
  });
});

/** An IPv4 address of this machine. */
const ownAddresses = (): readonly string[] =>
  Object.values(networkInterfaces()).flatMap((all) =>
    (all ?? []).flatMap(({ address: own, family, internal }) => (family === "IPv4" && !internal ? [own] : [])),
  );

test.each(["0", "0.0.0.0", "::"])("a studio at %s answers at every address that it prints", async (asked) => {
  const options = { folder: join(folder, "runs"), page: join(folder, "page"), port: 0 };
  // Some machines do not have IPv6.
  const open = await startStudio({ ...options, host: asked }).catch(() => undefined);
  if (open === undefined) {
    expect(asked).toBe("::");
    return;
  }
  try {
    const urls = [open.url, ...open.elsewhere].map((url) => new URL(url));
    expect(urls.map(({ hostname }) => hostname)).toEqual(expect.arrayContaining(["localhost", ...ownAddresses()]));
    for (const { origin, hash, hostname } of urls) {
      if (hostname.startsWith("[")) continue;
      const authorization = `Bearer ${hash.slice("#token=".length)}`;
      expect((await fetch(`${origin}${api}runs`)).status).toBe(401);
      expect((await fetch(`${origin}${api}runs`, { headers: { authorization } })).status).toBe(200);
    }
  } finally {
    await open.close();
  }
});

test("an address that others can reach needs the token of its own address", async () => {
  const open = await startStudio({
    folder: join(folder, "runs"),
    page: join(folder, "page"),
    host: "0.0.0.0",
    port: 0,
  });
  try {
    const url = new URL(open.url);
    const token = url.hash.slice("#token=".length);
    expect(token).toMatch(/^[\w-]{43}$/u);
    const ask = (authorization?: string) =>
      raw(url.origin.replace("localhost", "127.0.0.1"), `${api}runs`, {
        headers: { host: url.host, ...(authorization === undefined ? {} : { authorization }) },
      });
    const at = (path: string, more: object = {}) =>
      raw(url.origin.replace("localhost", "127.0.0.1"), path, { headers: { host: url.host }, ...more });
    // A router decodes escaped characters.
    for (const path of [
      "/%61pi/v1/runs",
      "/api/%76%31/runs",
      "/%2561pi/v1/runs",
      "//api/v1/runs",
      "/api%2fv1/runs",
      "/%e0/v1",
    ])
      expect((await at(path)).status, path).toBe(401);
    const headers = { host: url.host, origin: `http://${url.host}`, "content-type": "application/json" };
    expect((await at("/%61pi/v1/score", { method: "POST", body: "{}", headers })).status).toBe(401);
    expect((await at("/runs/api")).status).toBe(200);
    const given = [undefined, "", "Bearer ", `Bearer ${token}x`, token, `Basic ${token}`];
    for (const one of given) expect((await ask(one)).status).toBe(401);
    expect((await ask(`Bearer ${token}`)).status).toBe(200);
    // The page itself contains no secrets.
    expect((await raw(url.origin.replace("localhost", "127.0.0.1"), "/", { headers: { host: url.host } })).text).toBe(
      "<p>the page</p>",
    );
  } finally {
    await open.close();
  }
});

describe("files", () => {
  test("a file of the page has its type; another address is the page's own", async () => {
    const code = await raw(address, "/assets/code-1a2b3c4d.js");
    expect(code).toMatchObject({ status: 200, text: "export {};" });
    expect(code.headers["content-type"]).toMatch(/^text\/javascript/u);
    expect(code.headers["cache-control"]).toContain("immutable");
    expect(await raw(address, "/runs/a?x=1")).toMatchObject({ status: 200, text: "<p>the page</p>" });
  });

  test.each([
    "/../secret.txt",
    "/..%2fsecret.txt",
    "/%2e%2e/secret.txt",
    "/%2e%2e%2fsecret.txt",
    "/..\\secret.txt",
    "/..%5csecret.txt",
    "/assets/../../secret.txt",
    "//secret.txt",
    "/.env",
    "/%2eenv",
    "/link.txt",
    "/secret.txt%00.js",
    "/%c0%ae%c0%ae/secret.txt",
  ])("%s leads to nothing but the page", async (path) => {
    const { status, text } = await raw(address, path);
    expect(text).not.toContain(secret);
    if (status === 200) expect(text).toBe("<p>the page</p>");
    else expect([400, 403, 404]).toContain(status);
  });

  test("a page that is not built says so", async () => {
    const bare = await startStudio({ folder: join(folder, "runs"), page: join(folder, "nowhere"), port: 0 });
    try {
      expect(await raw(bare.url, "/")).toMatchObject({ status: 503, text: expect.stringContaining("is not built") });
      expect((await raw(bare.url, `${api}runs`)).status).toBe(200);
    } finally {
      await bare.close();
    }
  });
});

describe("names and texts", () => {
  test.each(["../x", ".hidden", "a/b", "a\0b", "nothing", "%2e%2e"])("%j is no run", async (name) => {
    for (const what of ["series", "events"]) {
      const { status, text } = await raw(address, `${api}runs/${encodeURIComponent(name)}/${what}`);
      expect(status).toBe(404);
      expect(text).not.toContain(secret);
    }
    expect((await post(`runs/${encodeURIComponent(name)}/stop`, "{}")).status).toBe(404);
    expect((await post(`runs/${encodeURIComponent(name)}/resume`, "{}")).status).toBe(404);
  });

  test("the list has the texts of the folder, without links and hidden ones", async () => {
    expect(JSON.parse((await raw(address, `${api}texts`)).text)).toEqual({
      texts: [
        { path: "cat.txt", bytes: catText.length },
        { path: "more/notes", bytes: 8 },
      ],
    });
  });

  test.each([
    "../secret.txt",
    "more/../../secret.txt",
    "link.txt",
    "outside/a.txt",
    ".hidden/a.txt",
    // Links to hidden files.
    "env.txt",
    "shown/a.txt",
    "..\\secret.txt",
    "a\0.txt",
    "more",
    "/etc/passwd",
    "nothing.txt",
  ])("%j is no text to train on", async (path) => {
    const { status, text } = await post("plan", JSON.stringify({ text: { kind: "file", path } }));
    expect(status).toBe(404);
    expect(text).toContain("text: must name a text of the folder");
  });

  test.each(["cat.txt", "kitten.txt"])("a text of the folder is one, and a link to it: %s", async (path) => {
    const { config } = smallRun("", 5);
    const asked = { text: { kind: "file", path }, config };
    expect(JSON.parse((await post("plan", JSON.stringify(asked))).text)).toMatchObject({ vocabSize: 17 });
  });

  test.each([
    ["no JSON", "{", /JSON/u],
    ["no UTF-8", Buffer.from([0x22, 0xff, 0x22]), /UTF-8/u],
    ["a list", "[]", /request/u],
    ["nothing", "", /JSON/u],
    [
      "many values",
      `{"text":{"kind":"corpus","name":"moby-dick"},"config":{"a":[${"{},".repeat(5000)}{}]}}`,
      /at most 4096 values/u,
    ],
    ["an unknown field", '{"text":{"kind":"corpus","name":"moby-dick"},"x":1}', /every key must be a known one/u],
    ["a name with a slash", JSON.stringify(smallRun("../x", 5)), /letters, digits/u],
    ["a name that is hidden", JSON.stringify(smallRun(".x", 5)), /letters, digits/u],
    ["a name with NUL", JSON.stringify(smallRun("a\0", 5)), /letters, digits/u],
    ["a prototype", '{"__proto__":{"text":1}}', /known one/u],
    ["deep lists", `{"config":${'{"a":'.repeat(100)}1${"}".repeat(100)}}`, /nested/u],
    ["a number for a text", '{"text":5}', /text/u],
    ["another corpus", '{"text":{"kind":"corpus","name":"../secret.txt"}}', /must be one of/u],
    ["an unknown preset", '{"text":{"kind":"corpus","name":"moby-dick"},"preset":"huge"}', /preset/u],
  ])("%s is refused in one line", async (_, body, says) => {
    for (const path of ["plan", "runs"]) {
      const { status, text } = await post(path, body);
      expect(status).toBe(400);
      const { error } = JSON.parse(text) as { error: string };
      expect(error).toMatch(says);
      expect(error).not.toContain("\n");
    }
  });

  test("an error of a whole request names no field", async () => {
    for (const body of ["no JSON", "[]", '{"unknown":1}']) {
      const { status, text } = await post("runs/a/stop", body);
      expect(status, body).toBe(400);
      expect(JSON.parse(text), body).toEqual({ error: expect.stringMatching(/^request/u) });
    }
    const { text } = await post("runs/a/stop", '{"elsewhere":1}');
    expect(JSON.parse(text)).toMatchObject({ field: "elsewhere" });
  });

  test("a body that is too large is not read", async () => {
    const { status, text } = await post("runs/a/stop", Buffer.alloc(2 ** 20 + 1, 0x20));
    expect(status).toBe(413);
    expect(text).toContain("at most");
    expect(
      (await post("plan", "{}", { "content-length": String(2 ** 40) }).catch(() => ({ status: 413 }))).status,
    ).toBe(413);
  });
});
