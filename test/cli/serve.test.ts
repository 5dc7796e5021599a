import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { writePlainModel } from "../support/openai-server.ts";
import { cli, jsonLines, workplace } from "./cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  await writePlainModel(join(cwd, "notes"));
  await writeFile(join(cwd, "keys.txt"), "# for tests\n\nfirst\nsecond\n");
  await writeFile(join(cwd, "spaces.txt"), "one key\n");
  await writeFile(join(cwd, "none.txt"), "# nobody\n");
  await mkdir(join(cwd, "a"));
});

afterAll(() => remove());

test("serve prints its address, answers who has a key, notes requests in a file and ends with Ctrl-C", async () => {
  let answered: Promise<readonly number[]> | undefined;
  const { status, stdout, stderr } = await cli(
    ["serve", "notes", "--port", "0", "--api-keys", "keys.txt", "--log", "log.jsonl", "--backend", "reference"],
    {
      cwd,
      onOutput: (printed, kill) => {
        const url = printed.trim();
        answered ??= (async () => {
          const ask = async (key: string): Promise<number> =>
            (await fetch(`${url}/models/notes`, { headers: { authorization: `Bearer ${key}` } })).status;
          const statuses = [await ask("first"), await ask("second"), await ask("third")];
          kill("SIGINT");
          return statuses;
        })();
      },
    },
  );
  expect(await answered).toEqual([200, 200, 401]);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/v1\n$/u);
  expect(stderr).toContain("The server is at this address. Ctrl-C ends it.");
  // No request is running, so nothing has to finish.
  expect(stderr).not.toContain("Ending");
  const lines = jsonLines(await readFile(join(cwd, "log.jsonl"), "utf8"));
  expect(lines.map((line) => line.status)).toEqual([200, 200, 401]);
});

test.each([
  ["serve", "model"],
  ["serve missing", "missing"],
  ["serve notes --host 0.0.0.0", "--host 0.0.0.0: a server that other machines can reach must have keys"],
  [
    "serve notes --api-keys missing.txt",
    "--api-keys missing.txt: must be a file with one key on each line; got ENOENT",
  ],
  ["serve notes --api-keys spaces.txt", "must have one key on each line, with only ASCII characters and no spaces"],
  ["serve notes --api-keys none.txt", "got none"],
  ["serve notes --adapter poems", 'must be NAME=FOLDER; got "poems"; try poems=poems'],
  ["serve notes --adapter a=b --adapter a=c", "names must be different; got a twice"],
  ["serve notes notes", "models must have different names; got notes twice"],
  ["serve notes a --name one", "--name: works only with a single model; got 2 models"],
  ["serve notes --port 70000", "--port"],
  ["serve notes --parallel 0", "--parallel"],
  ["serve notes --frequency 3", "--frequency"],
])("a mistake is told in one line: %s", async (line, words) => {
  const { status, stdout, stderr } = await cli([...line.split(" "), "--backend", "reference"], { cwd });
  expect({ status, stdout }, stderr).toEqual({ status: 2, stdout: "" });
  expect(stderr).toContain(words);
});

test("a port that is taken is told", async () => {
  const server = createServer((_, response) => response.end());
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", () => done()));
  const { port } = server.address() as { readonly port: number };
  const { status, stderr } = await cli(["serve", "notes", "--port", String(port), "--backend", "reference"], { cwd });
  await new Promise((done) => server.close(done));
  expect(status).toBe(2);
  expect(stderr).toMatch(
    new RegExp(
      `port ${port} of 127\\.0\\.0\\.1 must be free, and usable by this user; got EADDRINUSE; try another port`,
      "u",
    ),
  );
});
