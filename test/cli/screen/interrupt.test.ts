import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { outcomeOf } from "../../outcome-of.ts";
import {
  cli,
  cliProcess,
  jsonLines,
  onWindows,
  program,
  shell,
  shellPrelude,
  tiny,
  tinyWith,
  tree,
  withFlags,
  workplace,
} from "../cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
const steps = ["--steps", "60", "--eval-interval", "25", "--train.sampleTokens", "0", "--model.dropout", "0.1"];
const long = tinyWith(...steps);

const noSignals = onWindows ? " (Windows ends a process that is sent a signal)" : "";

let cwd: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
});

afterAll(() => remove());

/** Trains into `out`, and sends `signal` when step `step` has been printed. */
const interrupted = (out: string, signal: NodeJS.Signals, step: number, more: readonly string[] = []) => {
  let sent = false;
  return cli(["train", ...long, "--out", out, "--json", ...more], {
    cwd,
    onOutput: (stdout, kill) => {
      if (sent || !stdout.includes(`"type":"step","step":${step},`)) return;
      sent = true;
      kill(signal);
    },
  });
};

/** The steps of this plan take seconds on the reference backend: 6 × 128 tokens per step, 0.4 M parameters. */
const slowPlan = [
  ...["--data", "text.txt", "--backend", "reference", "--preset", "book", "--model.contextLength", "128"],
  ...["--model.nLayer", "2", "--model.nEmbd", "128", "--train.sampleTokens", "0"],
];

/** Sends SIGINT during the first step of a run in the folder `slow`. Times are in milliseconds. */
const interruptedInStep = async () => {
  const args = ["train", ...slowPlan, "--batch-size", "6", "--steps", "3", "--out", "slow"];
  const child = spawn(process.execPath, [program, ...args], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let asked = 0;
  let answered = 0;
  child.stderr.on("data", (text: Buffer) => {
    if (String(text).includes("Finishing the step and saving")) answered = performance.now();
  });
  const { status, stdout } = await outcomeOf(child, (text) => {
    if (asked > 0 || !text.includes("\nrun ")) return;
    // The signal comes during the first step.
    setTimeout(() => {
      asked = performance.now();
      child.kill("SIGINT");
    }, 200);
  });
  return { status, stdout, untilAnswer: answered - asked, untilEnd: performance.now() - asked };
};
let slow: ReturnType<typeof interruptedInStep> | undefined;
/** One run for all tests. */
const slowRun = (): ReturnType<typeof interruptedInStep> => {
  slow ??= interruptedInStep();
  return slow;
};

test.skipIf(onWindows)(`Ctrl-C is answered at once during a step that takes seconds${noSignals}`, async () => {
  const { status, stdout, untilAnswer, untilEnd } = await slowRun();
  expect(status).toBe(130);
  expect(stdout).toContain("slow/checkpoint");
  // The step ends after the response to the signal.
  expect(untilAnswer).toBeLessThan(Math.max(100, untilEnd / 2));
});

/**
 * Sends SIGTERM during the first step. After the program's response, sends it repeatedly, because a signal soon after
 * the first signal does not count.
 */
const terminatedTwice = async (args: readonly string[]) => {
  const child = spawn(process.execPath, [program, "train", ...args], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let told = "";
  let [begun, again] = [false, 0];
  let sending: NodeJS.Timeout | undefined;
  child.stderr.on("data", (text: Buffer) => {
    told += String(text);
    if (again > 0 || !told.includes("Finishing the step and saving")) return;
    again = performance.now();
    sending = setInterval(() => child.kill("SIGTERM"), 50);
  });
  const { status } = await outcomeOf(child, (text) => {
    if (begun || !text.includes("\nrun ")) return;
    begun = true;
    setTimeout(() => child.kill("SIGTERM"), 300);
  });
  clearInterval(sending);
  return { status, told, seconds: (performance.now() - again) / 1000 };
};

test.skipIf(onWindows)(
  `a second SIGTERM ends a run in the midst of a step at once, and nothing that was saved is lost${noSignals}`,
  async () => {
    // A step of several minutes, computed in TypeScript.
    const first = await terminatedTwice([...slowPlan, "--batch-size", "2048", "--out", "minutes"]);
    expect(first).toMatchObject({
      status: 143,
      told: expect.stringContaining("a second SIGTERM quits at once, with nothing saved yet"),
    });
    expect(first.seconds).toBeLessThan(10);
    expect(tree(join(cwd, "minutes"))).toEqual([".lock"]);

    await slowRun();
    const files = tree(join(cwd, "slow", "checkpoint"));
    const before = files.map((file) => read("slow", "checkpoint", file));
    const second = await terminatedTwice(["--resume", "slow", "--backend", "reference"]);
    expect(second).toMatchObject({ status: 143, told: expect.stringContaining("keeping the checkpoint of step 1)") });
    for (const [i, file] of files.entries()) {
      expect(read("slow", "checkpoint", file).equals(before[i] ?? Buffer.alloc(0)), file).toBe(true);
    }
    // Stops before the end, where the run would generate a long sample. Uses the fastest backend, because this test
    // does not depend on the backend.
    const rest = await cli(["train", "--resume", "slow", "--stop-at", "2", "--json"], { cwd });
    expect(jsonLines(rest.stdout).at(-1)).toMatchObject({ type: "done", reason: "interrupted", step: 2 });
    // The folder of the first run can be used again.
    const anew = await cli(["train", ...tiny, "--out", "minutes"], { cwd });
    expect(anew.status).toBe(0);
  },
);

const read = (...path: string[]): Buffer => readFileSync(join(cwd, ...path));

test.skipIf(onWindows)(
  `Ctrl-C saves and says how to go on, and going on ends where an uninterrupted run does, to the bit${noSignals}`,
  async () => {
    const [whole, first] = await Promise.all([
      cli(["train", ...long, "--out", "whole"], { cwd }),
      interrupted("parts", "SIGINT", 20),
    ]);
    expect(whole.status).toBe(0);
    expect(first.status).toBe(130);
    expect(first.stderr).toContain("saving");
    expect(first.stderr).toContain("npx foretoken train --resume parts");
    expect(jsonLines(first.stdout).at(-1)).toMatchObject({ type: "done", reason: "interrupted" });

    const rest = await cli(["train", "--resume", "parts", "--backend", "reference", "--json"], { cwd });
    expect(rest.status).toBe(0);
    expect(jsonLines(rest.stdout).at(-1)).toMatchObject({ type: "done", reason: "finished", step: 60 });
    for (const file of ["model.safetensors", "optimizer.safetensors", "trainer_state.json"]) {
      expect(read("parts", "checkpoint", file).equals(read("whole", "checkpoint", file)), file).toBe(true);
    }
    expect(tree(join(cwd, "parts"))).toEqual(tree(join(cwd, "whole")));
  },
);

test.skipIf(onWindows)(
  `SIGTERM saves as well, with a status of its own, and a run stopped with --stop-at has status 0${noSignals}`,
  async () => {
    const [terminated, stopped] = await Promise.all([
      interrupted("terminated", "SIGTERM", 5),
      cli(["train", ...long, "--out", "stopped", "--stop-at", "7"], { cwd }),
    ]);
    expect(terminated.status).toBe(143);
    expect(tree(join(cwd, "terminated", "checkpoint"))).toContain("trainer_state.json");
    expect(stopped.status).toBe(0);
    expect(stopped.stdout).toContain("Stopped at step 7 of 60");
    expect(stopped.stdout).toContain("npx foretoken train --resume stopped");
  },
);

test.skipIf(onWindows)(
  `a terminal that is closed saves as well, however often it says so, with a status of its own${noSignals}`,
  async () => {
    let sent = false;
    const args = ["train", ...withFlags(long, ["--steps", "100000"]), "--out", "hung-up", "--json"];
    const { status, stdout } = await cliProcess(args, {
      cwd,
      onOutput: (shown, kill) => {
        if (sent || !shown.includes(`"type":"step","step":5,`)) return;
        sent = true;
        for (let i = 0; i < 3; i++) kill("SIGHUP");
      },
    });
    expect(status).toBe(129);
    expect(jsonLines(stdout).at(-1)).toMatchObject({ type: "done", reason: "interrupted" });
    expect(tree(join(cwd, "hung-up", "checkpoint"))).toContain("trainer_state.json");
  },
);

test.skipIf(onWindows)(`Ctrl-C ends generate's text with a line end${noSignals}`, async () => {
  await cli(["train", ...tiny, "--out", "writer"], { cwd });
  let sent = false;
  const args = ["generate", "writer", "--prompt", "The", "--max-new-tokens", "1000000", "--backend", "reference"];
  const { status, stdout, stderr } = await cli(args, {
    cwd,
    onOutput: (shown, kill) => {
      if (sent || shown.length < 10) return;
      sent = true;
      kill("SIGINT");
    },
  });
  expect({ status, stderr }).toEqual({ status: 130, stderr: "" });
  expect(stdout.endsWith("\n")).toBe(true);
});

const hasScript = /util-linux/u.test(spawnSync("script", ["--version"], { encoding: "utf8" }).stdout ?? "");
const noTerminal = hasScript ? "" : " (there is no script of util-linux to make a terminal)";

test.skipIf(!hasScript)(
  `a run on a terminal that goes away is saved and ends with its own status, not by an abort${noTerminal}`,
  async () => {
    await shell("mkfifo status", cwd);
    // The shell in between ignores the signal and prints the status. When the program writes, it notices that the
    // terminal is closed.
    const train = `foretoken train ${withFlags(long, ["--steps", "100000"]).join(" ")} --out gone`;
    const line = `${shellPrelude}; trap "" HUP; ${train}; echo "$?" > status`;
    const env = { ...process.env, TERM: "xterm", SHELL: "/bin/bash" };
    const terminal = spawn("script", ["-qefc", line, "/dev/null"], { cwd, env, stdio: ["pipe", "pipe", "pipe"] });
    const ended = shell("cat status", cwd);
    await outcomeOf(terminal, (shown) => {
      if (shown.includes("this step")) terminal.kill("SIGKILL");
    });
    expect(await ended).toMatchObject({ stdout: "2\n" });
    expect(tree(join(cwd, "gone", "checkpoint"))).toContain("trainer_state.json");
  },
);
