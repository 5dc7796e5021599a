import { join } from "node:path";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { keyboardOf } from "#foretoken/cli/interactive/loop.js";
import { createSession, type Session, type Writer } from "#foretoken/cli/interactive/session.js";
import type { Settings } from "#foretoken/cli/interactive/settings.js";
import { generate } from "#foretoken/generate/generate.js";
import { generateDefaults } from "#foretoken/generate/options.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import type { LanguageModel } from "#foretoken/pretrained/model/language-model.js";
import { cli, jsonLines, onWindows, tiny, workplace } from "../cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;
let lm: LanguageModel;
let writer: Writer;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  await cli(["train", ...tiny, "--out", "run"], { cwd });
  lm = await loadPretrained(join(cwd, "run", "checkpoint"), { backend: await openReference() });
  writer = { config: lm.model.config, tokenizer: lm.tokenizer, generate: (options) => generate(lm, options) };
});

afterAll(async () => {
  await lm.close();
  await remove();
});

const settings: Settings = { ...generateDefaults, stop: [], maxNewTokens: 12 };
const { signal } = new AbortController();

/** The session's output for one line of input: the prompt and the text. */
const written = async (session: Session, line: string): Promise<string> => {
  const request = session.ask(line, signal);
  if (request.kind !== "write") throw new Error(`${line}: ${request.kind}`);
  let text = request.prompt;
  for await (const event of request.events) if (event.type === "done") text += event.text;
  return text;
};

const generated = async (prompt: string, options: Partial<Settings> = {}): Promise<string> => {
  for await (const event of generate(lm, { ...settings, ...options, prompt })) {
    if (event.type === "done") return event.text;
  }
  throw new Error("no end");
};

const told = (session: Session, line: string): string => {
  const request = session.ask(line, signal);
  return request.kind === "tell" ? request.lines.join("\n") : request.kind;
};

describe("a session", () => {
  test("writes for each line what generate does with it as the prompt", async () => {
    const session = createSession(writer, settings, true);
    expect(await written(session, "The")).toBe(`The${await generated("The")}`);
    expect(await written(session, "It\\n")).toBe(`It\n${await generated("It\n")}`);
    expect(await written(session, "The")).toBe(`The${await generated("The")}`);
  });

  test("goes on with the text at an empty line, with the next seed", async () => {
    const session = createSession(writer, settings, true);
    const first = await written(session, "The");
    const second = await written(session, "");
    expect(second).toBe(await generated(first, { seed: 2 }));
    expect(await written(session, "")).toBe(await generated(first + second, { seed: 3 }));
    // A new prompt begins again with the seed of the settings.
    expect(await written(session, "The")).toBe(first);
  });

  test("changes settings, tells them, and takes them back", async () => {
    const session = createSession(writer, settings, true);
    expect(told(session, "/temperature")).toBe(`/temperature ${generateDefaults.temperature}`);
    expect(told(session, "/temperature 0.5")).toBe("/temperature 0.5");
    expect(told(session, "/top-k   3 ")).toBe("/top-k 3");
    expect(told(session, "/seed 7")).toBe("/seed 7");
    expect(await written(session, "The")).toBe(`The${await generated("The", { temperature: 0.5, topK: 3, seed: 7 })}`);
    expect(await written(session, "/again")).toBe(
      `The${await generated("The", { temperature: 0.5, topK: 3, seed: 8 })}`,
    );
    expect(told(session, "/help")).toContain("/seed 8");
    expect(told(session, "/reset")).toBe("restored the initial settings; the text is empty");
    expect(told(session, "/seed")).toBe("/seed 1");
    expect(() => session.ask("", signal)).toThrow(/none yet/u);
  });

  test("goes on without characters that the model never saw, on request, and tells which", async () => {
    const session = createSession(writer, settings, true);
    expect(() => session.ask("The q", signal)).toThrow(/got "q" .*; try \/unknown skip, or/u);
    expect(told(session, "/unknown skip")).toBe("/unknown skip");
    const request = session.ask("Tqhez", signal);
    expect(request).toMatchObject({ kind: "write", prompt: "The", skipped: { count: 2, characters: ["q", "z"] } });
    expect(await written(session, "Tqhez")).toBe(`The${await generated("The")}`);
    expect(() => session.ask("/unknown maybe", signal)).toThrow('/unknown: must be error or skip; got "maybe"');
    told(session, "/reset");
    expect(told(session, "/unknown")).toBe("/unknown error");
  });

  test("knows every command of its help, and nothing else", () => {
    const session = createSession(writer, settings, true);
    const help = told(session, "/help");
    for (const command of session.commands) expect(help).toContain(`  ${command} `);
    expect(told(session, "/quit")).toBe("quit");
  });

  test.each([
    ["/temprature 1", /command: must be a known command; got "\/temprature"; try \/temperature/u],
    ["/temperature hot", /\/temperature: must be a number; got "hot"/u],
    ["/temperature -1", /\/temperature: must be at least 0; got -1/u],
    ["/top-p 2", /\/top-p: must be at most 1; got 2/u],
    ["/max-new-tokens 0", /\/max-new-tokens: must be above 0; got 0/u],
    ["/seed 1 2", /\/seed: must be a number; got "1 2"/u],
    ["/quit now", /\/quit: must have no argument; got "now"/u],
    ["/again", /none yet/u],
    ["The q", /prompt: every character .*"q".*column 5/u],
    ["//The", /prompt: every character .*"\/"/u],
    ["a\\q", /prompt: a backslash must be followed/u],
  ])("refuses %j and stays as it was", async (line, says) => {
    const session = createSession(writer, settings, true);
    const before = told(session, "/help");
    expect(() => session.ask(line, signal)).toThrow(says);
    expect(told(session, "/help")).toBe(before);
    expect(await written(session, "The")).toBe(`The${await generated("The")}`);
  });
});

/** A keyboard. `type` sends keys as a terminal sends them. */
const keyboard = () => {
  const input = new PassThrough();
  const output = new PassThrough();
  const readline = createInterface({ input, output, terminal: true, prompt: "> " });
  return { keys: keyboardOf(readline), type: (text: string) => input.write(text), readline };
};

/** A generation that ends only when it is told to stop. */
const untilAborted = (stop: AbortSignal): Promise<string> =>
  new Promise((resolve) => {
    stop.addEventListener("abort", () => resolve("stopped"));
  });

describe("the keyboard", () => {
  test("gives lines, and the end at Ctrl-D or at Ctrl-C", async () => {
    for (const end of ["\u0004", "\u0003"]) {
      const { keys, type } = keyboard();
      const line = keys.next();
      type("To be\r");
      expect(await line).toBe("To be");
      const last = keys.next();
      type(end);
      expect(await last).toBeUndefined();
      expect(await keys.next()).toBeUndefined();
    }
  });

  test("stops the writing at an empty line and at Ctrl-C, and then goes on asking", async () => {
    for (const key of ["\r", "\u0003"]) {
      const { keys, type, readline } = keyboard();
      const work = keys.interruptible(untilAborted);
      type(key);
      expect(await work).toBe("stopped");
      const line = keys.next();
      type("next\r");
      expect(await line).toBe("next");
      readline.close();
    }
  });

  test("takes a line that is typed while it writes as the next one", async () => {
    const { keys, type, readline } = keyboard();
    const work = keys.interruptible(untilAborted);
    type("or not\r");
    expect(await work).toBe("stopped");
    expect(await keys.next()).toBe("or not");
    readline.close();
  });

  test("stops the writing where the input ends", async () => {
    const { keys, type } = keyboard();
    const work = keys.interruptible(untilAborted);
    type("\u0004");
    expect(await work).toBe("stopped");
    expect(await keys.next()).toBeUndefined();
  });
});

describe("in a pipe", () => {
  const args = ["generate", "run", "--interactive", "--max-new-tokens", "8", "--backend", "reference"];

  test("takes a prompt a line, to the end", async () => {
    const outcome = await cli(args, { cwd, input: "The\n\n/seed 2\nIt" });
    const first = await generated("The", { maxNewTokens: 8 });
    const second = await generated("It", { maxNewTokens: 8, seed: 2 });
    expect(outcome).toEqual({ status: 0, stdout: `The${first}\nIt${second}\n`, stderr: "/seed 2\n" });
  });

  test("tells a bad line, goes on, and ends with the status of a mistake", async () => {
    const { status, stdout, stderr } = await cli(args, { cwd, input: "The q\n/nope\nThe\n" });
    expect(status).toBe(2);
    expect(stderr).toMatch(/^foretoken: prompt: [^\n]*"q"[^\n]*\nforetoken: command: [^\n]*"\/nope"[^\n]*\n$/u);
    expect(stdout).toBe(`The${await generated("The", { maxNewTokens: 8 })}\n`);
  });

  test("writes events with --json, and ends at /quit", async () => {
    const { status, stdout } = await cli([...args, "--json"], { cwd, input: "The\n/quit\nIt\n" });
    expect(status).toBe(0);
    const events = jsonLines(stdout);
    expect(events.filter(({ type }) => type === "done")).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({ text: await generated("The", { maxNewTokens: 8 }), promptTokens: 3 });
  });

  test("tells on standard error what it left out of a line, and with --json in the event", async () => {
    const skipping = await cli([...args, "--unknown", "skip"], { cwd, input: "Thqe\n" });
    expect(skipping).toEqual({
      status: 0,
      stdout: `The${await generated("The", { maxNewTokens: 8 })}\n`,
      stderr: 'left out: 1 character that the model never saw: "q"\n',
    });
    const { stdout } = await cli([...args, "--json"], { cwd, input: "/unknown skip\nThqe\n" });
    expect(jsonLines(stdout).at(-1)).toMatchObject({ skipped: { count: 1, characters: ["q"] } });
  });

  test.skipIf(onWindows)(
    `Ctrl-C ends it${onWindows ? " (Windows ends a process that is sent a signal)" : ""}`,
    async () => {
      let sent = false;
      const { status } = await cli([...args.slice(0, 3), "--backend", "reference", "--max-new-tokens", "1000000"], {
        cwd,
        input: "The\nIt\n",
        onOutput: (stdout, kill) => {
          // The signal is sent only once, because a second signal would end the program at once.
          if (sent || stdout.length <= 10) return;
          sent = true;
          kill("SIGINT");
        },
      });
      expect(status).toBe(130);
    },
  );
});
