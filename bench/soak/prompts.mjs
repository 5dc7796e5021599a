/**
 * Kills `generate --prompts` at random moments while it writes. After each kill, the same command resumes. At the end,
 * the file must contain every prompt once, and must be equal to the file of a command without kills.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start } from "./lib/processes.mjs";
import { randomOf } from "./lib/random.mjs";
import { configFlags, smallConfig, wordsText } from "./lib/small-run.mjs";

const sizeOf = (path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** @param {{ prompts: number, kills: number, seed: number, backend: string }} options */
export const prompts = async ({ prompts: number, kills, seed, backend }) => {
  /** @type {string[]} */
  const findings = [];
  const random = randomOf(seed, "prompts");
  const place = mkdtempSync(join(tmpdir(), "foretoken-soak-"));
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, "text.txt"), wordsText("prompts", 300));
  const flags = configFlags({ ...smallConfig, model: { ...smallConfig.model, contextLength: 32 } });
  await start(["train", "--data", "text.txt", "--out", "run", "--preset", "book", ...flags], { cwd: place });
  const lines = Array.from({ length: number }, (_, i) =>
    JSON.stringify(
      random.chance(0.5)
        ? `the cat sat on ${i % 2 === 0 ? "a" : "the"} mat`
        : { prompt: "the ", seed: i, maxNewTokens: random.between(1, 40) },
    ),
  );
  writeFileSync(join(place, "prompts.jsonl"), `${lines.join("\n")}\n`);
  const command = [
    "generate",
    "run",
    "--backend",
    backend,
    "--max-new-tokens",
    "20",
    "--prompts",
    "prompts.jsonl",
    "--out",
  ];
  const whole = await start([...command, "whole.jsonl"], { cwd: place });
  if (whole.status !== 0) findings.push(`the undisturbed command ended with ${whole.status}: ${whole.stderr}`);
  const wanted = readFileSync(join(place, "whole.jsonl"), "utf8");

  const out = join(place, "out.jsonl");
  for (let kill = 0; kill <= kills; kill++) {
    // Kills the process when the file has reached a certain length. The last process is not killed.
    const from = sizeOf(out);
    const at = from + ((wanted.length - from) * (1 + random.real())) / (2 * (kills - kill) + 1);
    const { status, stderr } = await start([...command, "out.jsonl"], {
      cwd: place,
      onStart(child) {
        if (kill === kills) return;
        const watch = setInterval(() => {
          if (sizeOf(out) < at) return;
          clearInterval(watch);
          child.kill("SIGKILL");
        }, 1);
        child.on("exit", () => clearInterval(watch));
      },
    });
    console.log(
      `life ${kill + 1}: ${kill === kills ? `status ${status}` : "killed"} with ${sizeOf(out)} of ${wanted.length} bytes`,
    );
    if (kill === kills && status !== 0) findings.push(`the last command ended with ${status}: ${stderr}`);
  }
  if (readFileSync(out, "utf8") !== wanted) findings.push("the file is not the one of the undisturbed command");
  const written = wanted
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).index);
  if (written.length !== number || written.some((index, i) => index !== i))
    findings.push("not every prompt is there once");
  rmSync(place, { recursive: true });
  for (const one of findings) console.error(one);
  console.log(
    `${number} prompts, ${kills} kills: ${findings.length === 0 ? "the same file" : `${findings.length} FAILED`}`,
  );
  return { prompts: number, kills, failed: findings.length };
};
