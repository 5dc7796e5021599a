import { expect, it } from "vitest";
import { z } from "zod";
import { onWindows } from "../cli/cli.ts";
import { runBench } from "./run-bench.ts";

const causes = z.record(z.string(), z.array(z.int()));
const classes = [
  ["configuration", 400],
  ["text", 400],
  ["checkpoint", 150],
  ["flags", 400],
] as const;

// The test uses few cases: at most a twentieth of the full number if all cases are in one process, and at most a
// hundredth if each case starts a process.
it.skipIf(onWindows).each(classes)(
  "hostile inputs of the class %s work, or are refused in a line: %i of them (pipes and links: not on Windows)",
  async (name, cases) => {
    const { status, stdout, stderr, json } = await runBench("soak/main", [
      ...["--part", "fuzz", "--classes", name, "--cases", String(cases)],
    ]);
    const counts = z.object({ cases: z.int(), refused: z.int(), causes });
    const { fuzz } = z.object({ fuzz: z.object({ classes: z.record(z.string(), counts) }) }).parse(json);
    expect(fuzz.classes[name]?.causes, stdout + stderr).toEqual({});
    expect(fuzz.classes[name]?.cases).toBe(cases);
    // Some cases must be refused, but not all.
    expect(fuzz.classes[name]?.refused).toBeGreaterThan(cases / 10);
    expect(fuzz.classes[name]?.refused).toBeLessThan(cases);
    expect(status).toBe(0);
  },
);

it.skipIf(onWindows)("a killed run ends in the bits of one that was not (signals: not on Windows)", async () => {
  const { status, stdout, stderr, json } = await runBench("soak/main", ["--part", "kill", "--kills", "2"]);
  const { kill } = z
    .object({ kill: z.object({ causes, backends: z.record(z.string(), z.object({ kills: z.int() })) }) })
    .parse(json);
  expect(kill.causes, stdout + stderr).toEqual({});
  for (const { kills } of Object.values(kill.backends)) expect(kills).toBe(2);
  expect(status).toBe(0);
});

it.skipIf(onWindows)("a fault of the file system loses nothing and is told (sh: not on Windows)", async () => {
  const { status, stdout, stderr, json } = await runBench("soak/main", ["--part", "faults", "--cases", "10"]);
  const { faults } = z.object({ faults: z.object({ causes, cases: z.int() }) }).parse(json);
  expect(faults.causes, stdout + stderr).toEqual({});
  expect(faults.cases).toBe(10);
  expect(status).toBe(0);
});

it("an engine loses no page and no memory", async () => {
  const args = ["--part", "engine", "--config", "tiny", "--minutes", "0.1", "--threads", "1"];
  const { status, stdout, stderr, json } = await runBench("soak/main", args);
  const { engine } = z
    .object({ engine: z.object({ rise: z.int(), ended: z.int(), left: z.int(), failed: z.int() }) })
    .parse(json);
  expect(engine.left, stdout + stderr).toBe(0);
  expect(engine.ended).toBeGreaterThan(10);
  expect(stdout).toContain("pages in use at the end: 0;");
  // Memory may still grow in such a short run, so the test accepts both verdicts.
  expect(engine.failed, stdout + stderr).toBe(engine.rise > 32 * 2 ** 20 ? 1 : 0);
  expect(status).toBe(engine.failed);
});

it.skipIf(onWindows)("a command that writes texts goes on where it was killed (signals: not on Windows)", async () => {
  const args = ["--part", "prompts", "--prompts", "400", "--kills", "3"];
  const { status, stdout, stderr } = await runBench("soak/main", args);
  expect(stdout, stderr).toContain("400 prompts, 3 kills: the same file");
  expect(status).toBe(0);
});

it.skipIf(onWindows)("a server loses nothing among clients that misbehave (signals: not on Windows)", async () => {
  const args = ["--part", "server", "--requests", "400", "--same", "30"];
  const { status, stdout, stderr, json } = await runBench("soak/main", args);
  const { server } = z
    .object({ server: z.object({ differing: z.int(), failed: z.int(), requests: z.int() }) })
    .parse(json);
  expect(server, stdout + stderr).toEqual({ differing: 0, failed: 0, requests: 400 });
  expect(status).toBe(0);
});
