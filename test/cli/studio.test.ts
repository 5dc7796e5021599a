import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { RunListAnswer, RunSummary } from "#foretoken/serve/studio/protocol.js";
import { type Outcome, outcomeOf } from "../outcome-of.ts";
import { cli, cliProcess, onWindows, program, tinyWith, workplace } from "./cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  await mkdir(join(cwd, "runs"));
});

afterAll(() => remove());

/** Waits until `check` passes. The time limit is far longer than needed. */
const soon = (check: () => Promise<void>): Promise<void> => vi.waitFor(check, { timeout: 50_000 });

interface Served {
  readonly url: string;
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly ended: Promise<Outcome>;
}

/** A run in test/fixtures. */
const oldRun = fileURLToPath(new URL("../fixtures/run-a9ede5f/run", import.meta.url));

/** A run that trains until it is stopped. */
const endless = tinyWith("--steps", "1000000", "--patience", "0");

/** Starts the program and waits until it has printed an address. */
const served = (args: readonly string[], at = cwd): Promise<Served> =>
  new Promise((resolve, reject) => {
    const ended = cliProcess(args, {
      cwd: at,
      onOutput: (stdout, kill) => {
        const url = /http:\/\/\S+/u.exec(stdout)?.[0];
        if (url !== undefined) resolve({ url, kill, ended });
      },
    });
    ended.then((outcome) => reject(new Error(JSON.stringify(outcome))), reject);
  });

const runsAt = async (url: string): Promise<readonly RunSummary[]> =>
  ((await (await fetch(new URL("/api/v1/runs", url))).json()) as RunListAnswer).runs;

const post = (url: string, path: string, body: object): Promise<Response> =>
  fetch(new URL(`/api/v1/${path}`, url), {
    method: "POST",
    headers: { "content-type": "application/json", origin: new URL(url).origin },
    body: JSON.stringify(body),
  });

test.skipIf(onWindows)("the studio prints its address, serves the runs and ends with Ctrl-C", async () => {
  const { url, kill, ended } = await served(["studio", "--port", "0"]);
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/u);
  expect(await runsAt(url)).toEqual([]);
  kill("SIGINT");
  const { status, stdout, stderr } = await ended;
  expect({ status, stdout }).toEqual({ status: 0, stdout: `${url}\n` });
  // The line is on standard error, because standard output contains only the address.
  expect(stderr).toMatch(
    /^The studio is the page at this address\. Ctrl-C ends the studio; .* saves the run first\. --open opens the page/mu,
  );
  // No run is training, so the line promises no saving.
  expect(stderr).toContain("\nEnding the studio (Ctrl-C again quits at once)\n");
});

test.skipIf(onWindows)("with a model the address leads into it, also where there are no runs yet", async () => {
  const { cwd: empty, remove: removeEmpty } = await workplace();
  const { url, kill, ended } = await served(["studio", "--model", oldRun, "--port", "0"], empty);
  const { pathname, searchParams } = new URL(url);
  expect(pathname).toBe("/inside");
  const { view, ...body } = Object.fromEntries(searchParams);
  expect([view, body.model]).toEqual(["lens", `models/${oldRun}`]);
  expect(await runsAt(url)).toEqual([]);
  // The text in the address is a text that the run generated.
  expect((await post(url, "inside/lens", body)).status).toBe(200);
  kill("SIGINT");
  expect(await ended).toMatchObject({ status: 0, stdout: `${url}\n` });
  await removeEmpty();
});

test.skipIf(onWindows)("it stops a run of another terminal only where that is asked for", async () => {
  const training = cliProcess(["train", ...endless, "--out", "runs/far"], { cwd });
  const studio = await served(["studio", "--port", "0"]);
  const far = async (): Promise<RunSummary | undefined> =>
    (await runsAt(studio.url)).find(({ name, step }) => name === "far" && step > 0);
  await soon(async () => expect(await far()).toBeDefined());
  expect(await far()).toMatchObject({ owner: "elsewhere", state: "unfinished" });
  await soon(async () => expect((await far())?.hasCheckpoint).toBe(true));
  const written = await post(studio.url, "generate", {
    model: "runs/far/last",
    prompt: "The",
    settings: { maxNewTokens: 1 },
  });
  expect(await written.text()).toContain('"paused":[],"sharedWith":["far"]');
  expect((await post(studio.url, "runs/far/resume", {})).status).toBe(409);
  const refused = await post(studio.url, "runs/far/stop", {});
  expect(refused.status).toBe(409);
  expect(await refused.text()).toContain("needs `elsewhere`");
  expect((await post(studio.url, "runs/far/stop", { elsewhere: true })).status).toBe(200);
  expect((await training).status).toBe(143);
  expect(await far()).toMatchObject({ owner: null, state: "interrupted", hasCheckpoint: true });
  expect((await post(studio.url, "runs/far/stop", { elsewhere: true })).status).toBe(409);
  studio.kill("SIGTERM");
  expect((await studio.ended).status).toBe(0);
});

test.skipIf(onWindows)("a run that it trains is saved when it ends", async () => {
  const { url, kill, ended } = await served(["studio", "--port", "0", "--texts", ".", "--backend", "reference"]);
  const config = {
    model: { contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8, mlp: { hidden: 8 } },
    train: { steps: 1_000_000, batchSize: 2, patience: 0 },
  };
  const begun = await post(url, "runs", { name: "near", text: { kind: "file", path: "text.txt" }, config });
  expect(begun.status).toBe(200);
  await soon(async () => expect((await runsAt(url)).find(({ name }) => name === "near")?.step).toBeGreaterThan(0));
  kill("SIGINT");
  const { status, stderr } = await ended;
  expect(status).toBe(0);
  expect(stderr).toContain("Ending the studio; the studio saves near first (Ctrl-C again quits at once)\n");
  expect(stderr).toContain("near is saved; to resume it: npx foretoken train --resume runs/near, or the studio\n");
  const { stdout } = await cli(["runs", "--json"], { cwd });
  const runs = stdout
    .split("\n")
    .flatMap((line) => (line === "" ? [] : [JSON.parse(line) as RunSummary & { checkpoint: unknown }]));
  expect(runs.find(({ name }) => name === "near")).toMatchObject({
    state: "interrupted",
    checkpoint: "runs/near/checkpoint",
  });
});

test.skipIf(onWindows)("a run of another program is left alone: a signal might end it unsaved", async () => {
  const script = `
    import { train } from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
    const model = { contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8, mlp: { hidden: 8 } };
    const config = { model, train: { steps: 1_000_000, batchSize: 2, patience: 0 } };
    for await (const _ of train({ data: "text.txt", out: "runs/theirs", backend: "reference", config }));`;
  const theirs = spawn(process.execPath, ["--input-type=module", "--eval", script], { cwd });
  const { url, kill, ended } = await served(["studio", "--port", "0"]);
  try {
    const found = async () => (await runsAt(url)).find(({ name, step }) => name === "theirs" && step > 0);
    await soon(async () => expect(await found()).toMatchObject({ owner: "elsewhere" }));
    const refused = await post(url, "runs/theirs/stop", { elsewhere: true });
    expect(await refused.json()).toEqual({
      error: expect.stringMatching(/got a run of another program, .*: stop the run in that program$/u),
    });
    expect(refused.status).toBe(409);
    expect(theirs.exitCode).toBe(null);
  } finally {
    theirs.kill("SIGKILL");
    kill("SIGTERM");
  }
  expect((await ended).status).toBe(0);
});

test.skipIf(onWindows)("train --studio has a page on its run, which can stop it", async () => {
  const args = [program, "train", ...endless, "--out", "runs/shown", "--studio"];
  const training = spawn(process.execPath, args, { cwd });
  const ended = outcomeOf(training);
  const url = await new Promise<string>((resolve) => {
    let text = "";
    training.stderr.on("data", (piece: Buffer) => {
      text += piece.toString();
      const [, found] = /^Studio: (http:\S+)\n/mu.exec(text) ?? [];
      if (found !== undefined) resolve(found);
    });
  });
  const shown = async (): Promise<RunSummary | undefined> => (await runsAt(url)).find(({ name }) => name === "shown");
  expect(new URL(url).pathname).toBe("/runs/shown");
  // From its first event on, the run is in the list.
  expect(await shown()).toMatchObject({ owner: "studio", state: "unfinished", steps: 1_000_000 });
  await soon(async () => expect((await shown())?.step).toBeGreaterThan(0));
  expect((await post(url, "runs", { text: { kind: "corpus", name: "moby-dick" } })).status).toBe(409);
  expect((await post(url, "runs/shown/stop", {})).status).toBe(200);
  const { status, stdout } = await ended;
  expect(status).toBe(0);
  expect(stdout).toContain("Stopped at step");
});

test("an address for others has a token in it", async () => {
  const { url, kill, ended } = await served(["studio", "--host", "0.0.0.0", "--port", "0"]);
  expect(url).toMatch(/^http:\/\/localhost:\d+\/#token=[\w-]{43}$/u);
  kill("SIGTERM");
  await ended;
});

test("a port that is in use is named, and one of our own choice is passed over", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as AddressInfo;
  const { status, stderr } = await cli(["studio", "--port", String(port), "--backend", "wasm"], { cwd });
  expect(status).toBe(2);
  expect(stderr).toBe(
    `foretoken: studio: port ${port} of 127.0.0.1 must be free, and usable by this user; got EADDRINUSE; try another --port, or leaving it out\n`,
  );
  await new Promise((resolve) => other.close(resolve));
});

test.each([
  [["studio", "nowhere"], /nowhere: must be a folder of runs; got no such folder/u],
  [
    ["studio", "--model", "nowhere.gguf"],
    /--model nowhere\.gguf: must be a model; got no such file or folder; try a run's/u,
  ],
  [["studio", "--model", "text.txt"], /text\.txt: .*; got /u],
  [["studio", "--model", "some/model"], /; got no such file or folder; try hf:some\/model for a model on the hub/u],
  [["studio", "--model", "hf:../x"], /hf:\.\.\/x: a model of the hub must have the form hf:organisation/u],
  [["studio", "--texts", "text.txt"], /--texts text\.txt: must be a folder/u],
  [["studio", "--port", "70000"], /--port: must be a whole number from 0 to 65535; got 70000/u],
  [["studio", "--host", "a b"], /--host: must be a host name or an IP address/u],
  [["studio", "--host", "203.0.113.1"], /must be free, and usable by this user; got EADDRNOTAVAIL/u],
])("%j is refused in a line", async (args, says) => {
  // The flag chooses the backend, so that there is no notice about missing native kernels.
  const { status, stderr } = await cli([...args, "--backend", "wasm"], { cwd });
  expect(stderr).toMatch(says);
  expect(stderr.split("\n")).toHaveLength(2);
  expect(status).toBe(2);
});
