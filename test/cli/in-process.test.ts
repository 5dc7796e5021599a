import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { cli, cliProcess, jsonLines, tiny, tinyWith, workplace } from "./cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  expect(await cli(["train", ...tiny, "--out", "run"], { cwd })).toMatchObject({ status: 0 });
});

afterAll(() => remove());

/** State that exists once per process. */
const ofProcess = () => ({
  cwd: process.cwd(),
  env: { ...process.env },
  exitCode: process.exitCode,
  listeners: ["exit", "SIGINT", "SIGTERM", "SIGHUP", "SIGCONT", "uncaughtException"].map((event) =>
    process.listenerCount(event),
  ),
  streams: [process.stdout, process.stderr].map((stream) => stream.listenerCount("error")),
});

describe("a command that is called in this process", () => {
  test.each([
    "generate run --prompt The --max-new-tokens 20 --backend reference",
    "evaluate run",
    "generate run --prompt The-q",
    "train --help",
    "nonsense",
  ])("writes and ends as the program does: %s", async (line) => {
    const args = line.split(" ");
    expect(await cli(args, { cwd })).toEqual(await cliProcess(args, { cwd }));
  });

  test("takes its input and its environment as the program does", async () => {
    const running = { cwd, input: "The\n/nope\n", env: { FORCE_COLOR: "1", NO_COLOR: "" } };
    const args = ["generate", "run", "-i", "--max-new-tokens", "9", "--show-probabilities"];
    const outcome = await cli(args, running);
    expect(outcome).toEqual(await cliProcess(args, running));
    expect(outcome).toMatchObject({ status: 2, stderr: expect.stringContaining("/nope") });
    expect(`${outcome.stdout}${outcome.stderr}`).toContain("\u001b[");
  });

  test("leaves nothing to the next one, nor to the process", async () => {
    const before = ofProcess();
    const env = { NO_COLOR: "1", FORETOKEN_NO_NATIVE: "1" };
    expect(await cli(["nonsense"], { cwd, env })).toMatchObject({ status: 2, stdout: "" });
    const failed = await cli(["generate", "run", "-i"], { cwd, env, input: "The q\n" });
    expect(failed.status).toBe(2);
    const stopped = await cli(["train", ...tiny, "--out", "stopped", "--json"], {
      cwd,
      onOutput: (stdout, kill) => {
        if (stdout.endsWith("\n") && jsonLines(stdout).length === 2) kill("SIGTERM");
      },
    });
    expect(stopped.status).toBe(143);
    expect(await cli(["--version"], { cwd })).toMatchObject({ status: 0, stderr: "" });
    expect(ofProcess()).toEqual(before);
  });

  test("runs after those that were called before it, each in its folder", async () => {
    await writeFile(join(cwd, "run", "text.txt"), "The cat.\n".repeat(50));
    const args = ["evaluate", "--data", "text.txt", "--split", "all", "--json", "--backend", "reference"];
    const [outside, inside] = await Promise.all([
      cli([...args, "run/checkpoint"], { cwd }),
      cli([...args, "checkpoint"], { cwd: join(cwd, "run") }),
    ]);
    expect(jsonLines(outside.stdout)).toMatchObject([{ tokens: 3071 }]);
    expect(jsonLines(inside.stdout)).toMatchObject([{ tokens: 449 }]);
  });

  test("ends at once where the program would: at a second signal", async () => {
    const endless = tinyWith("--steps", "1000000", "--eval-interval", "1000000", "--patience", "0");
    let sent = false;
    const { status, stdout } = await cli(["train", ...endless, "--out", "endless"], {
      cwd,
      onOutput: (_, kill) => {
        if (sent) return;
        sent = true;
        // The second signal is sent long after the first signal. So it does not count as a repetition.
        let now = performance.now();
        vi.spyOn(performance, "now").mockImplementation(() => {
          now += 1000;
          return now;
        });
        kill("SIGINT");
        kill("SIGTERM");
      },
    }).finally(() => vi.restoreAllMocks());
    expect(status).toBe(143);
    expect(stdout).not.toContain("Stopped at step");
  });

  test("saves where two signals come in one moment", async () => {
    const endless = tinyWith("--steps", "1000000", "--eval-interval", "1000000", "--patience", "0");
    let sent = false;
    const { status, stdout } = await cli(["train", ...endless, "--out", "moment"], {
      cwd,
      onOutput: (_, kill) => {
        if (sent) return;
        sent = true;
        kill("SIGINT");
        kill("SIGTERM");
      },
    });
    expect(status).toBe(130);
    expect(stdout).toContain("Stopped at step");
  });
});
