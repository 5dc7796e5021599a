import { spawn } from "node:child_process";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { isolation } from "../browser/chromium.ts";
import { outcomeOf } from "../outcome-of.ts";
import { newStarter, root, type Starter, startServer } from "./starter.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const onWindows = process.platform === "win32";

let starter: Starter;
let address: string;
let stop: () => Promise<void>;

beforeAll(async () => {
  starter = await newStarter("page", { js: true });
  await writeFile(join(dirname(starter.folder), "secret.txt"), "secret");
  await writeFile(join(starter.folder, ".env"), "secret");
  await mkdir(join(starter.folder, "sub"));
  await writeFile(join(starter.folder, "sub", "a file.txt"), "inside");
  if (!onWindows) await symlink(join(starter.folder, "..", "secret.txt"), join(starter.folder, "link.txt"));
  ({ address, stop } = await startServer(starter.folder));
});

afterAll(async () => {
  await stop?.();
  await starter?.remove();
});

/** The response to a request with an unchanged path. `fetch` would normalize the path. */
const ask = (path: string, { method = "GET", host = "localhost" } = {}): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(address).port), "127.0.0.1");
    let answer = "";
    socket.on("error", reject);
    socket.setEncoding("utf8").on("data", (text: string) => {
      answer += text;
    });
    socket.on("close", () => resolve(answer));
    socket.write(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  });
const statusOf = (answer: string): string => answer.split(" ")[1] ?? "";

describe("the server of the starter in JavaScript", () => {
  test("serves the page, files below its folder, and the library, with the headers that isolate", async () => {
    const files = {
      "": "index.html",
      "main.js?v=1": "main.js",
      "text.txt": "text.txt",
      "sub/a%20file.txt": "sub/a file.txt",
    };
    for (const [path, file] of Object.entries(files)) {
      const response = await fetch(address + (address.endsWith("/") ? "" : "/") + path);
      expect(await response.text()).toBe(await readFile(join(starter.folder, file), "utf8"));
      for (const [name, value] of Object.entries(isolation)) expect(response.headers.get(name)).toBe(value);
    }
    const library = await fetch(new URL("/foretoken.browser.js", address));
    expect(library.headers.get("Content-Type")).toBe("text/javascript; charset=utf-8");
    expect(await library.text()).toBe(await readFile(join(root, "dist/foretoken.browser.js"), "utf8"));
  });

  test.each([
    "/../secret.txt",
    "/%2e%2e/secret.txt",
    "/..%2fsecret.txt",
    "/sub/..%2f..%2fsecret.txt",
    "/sub/../../secret.txt",
    "/..%5csecret.txt",
    "//etc/passwd",
    "/%2fetc%2fpasswd",
    "/.env",
    "/sub/%2e%2e/.env",
    "/node_modules/foretoken/package.json",
    "/sub",
    "/nothing.txt",
    "/text.txt%00.js",
    "/%",
    "/c:/windows/win.ini",
    "http://localhost/../secret.txt",
    ...(onWindows ? [] : ["/link.txt"]),
  ])("does not serve %s", async (path) => {
    const answer = await ask(path);
    expect(statusOf(answer)).toBe("404");
    expect(answer).not.toContain("secret");
  });

  test("answers reading only, and this computer only", async () => {
    expect(statusOf(await ask("/text.txt", { method: "POST" }))).toBe("405");
    expect(statusOf(await ask("/text.txt", { host: "evil.example" }))).toBe("403");
    const head = await ask("/text.txt", { method: "HEAD" });
    expect(statusOf(head)).toBe("200");
    expect(head.split("\r\n\r\n")[1]).toBe("");
    expect(statusOf(await ask("/text.txt", { host: "127.0.0.1:80" }))).toBe("200");
  });

  test("says so where its port is taken, or foretoken is not installed", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as { port: number };
    const start = (cwd: string, ...args: string[]) =>
      outcomeOf(spawn(process.execPath, ["server.mjs", ...args], { cwd, stdio: ["ignore", "pipe", "pipe"] }));
    const taken = await start(starter.folder, String(port));
    other.close();
    expect(taken).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringMatching(
        new RegExp(
          `^port ${port} cannot be used \\(.*EADDRINUSE.*\\); try another one: npm start -- ${port + 1}\n$`,
          "u",
        ),
      ),
    });
    const wrong = await start(starter.folder, "http");
    expect(wrong).toMatchObject({ status: 1, stderr: 'the port must be a number from 0 to 65535; got "http"\n' });
    const bare = join(starter.folder, "..", "bare");
    await mkdir(bare);
    await writeFile(join(bare, "server.mjs"), await readFile(join(starter.folder, "server.mjs")));
    expect(await start(bare)).toMatchObject({
      status: 1,
      stderr: "foretoken is not installed in this folder: run npm install first\n",
    });
  });
});
