import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Outcome, outcomeOf } from "../outcome-of.ts";
import { runInProcess } from "./in-process.ts";

export const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface Running {
  readonly cwd: string;
  /** Called at each new output, with the whole standard output so far. The function may send a signal. */
  readonly onOutput?: (stdout: string, kill: (signal: NodeJS.Signals) => void) => void;
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input. Default: empty. */
  readonly input?: string;
}

/**
 * Executes a command line in this process, in `cwd`, with its own streams. Commands are executed one after the other,
 * in the order of the calls. This way is faster than one process per command, because loading a program's modules takes
 * longer than most commands.
 */
export const cli = runInProcess;

/** Starts the real program in `cwd` with its output in pipes, for tests of the process itself. */
export const cliProcess = (args: readonly string[], { cwd, onOutput, env = {}, input }: Running): Promise<Outcome> => {
  const child = spawn(process.execPath, [program, ...args], {
    cwd,
    env: { ...process.env, LC_ALL: "C.UTF-8", ...env },
  });
  child.stdin.on("error", () => {}).end(input ?? "");
  return outcomeOf(child, (stdout) => onOutput?.(stdout, (signal) => child.kill(signal)));
};

/** Part of the name of a test that cannot run on Windows. */
export const onWindows = process.platform === "win32";

/** Defines `foretoken` as the program, for a shell command. */
export const shellPrelude = `foretoken() { "${process.execPath}" "${program}" "$@"; }`;

/** Executes a shell command in which `foretoken` is the program. */
export const shell = (line: string, cwd: string): Promise<Outcome> =>
  outcomeOf(spawn("bash", ["-c", `${shellPrelude}; ${line}`], { cwd, stdio: ["ignore", "pipe", "pipe"] }));

/** The words of a command that the program has printed, split as in a shell. Supports only quotes of the form '…'. */
export const proposedWords = (line: string): string[] => {
  const [, command = ""] = /npx foretoken (.*?)(?: +# .*)?$/u.exec(line) ?? [];
  const words = [...command.matchAll(/'([^']*)'|([^\s'"\\$]+)|(\S)/gu)];
  const odd = words.find(([, , , other]) => other !== undefined);
  if (command === "" || odd !== undefined) throw new Error(`it takes a shell to read ${JSON.stringify(line)}`);
  return words.map(([, quoted, plain]) => quoted ?? plain ?? "");
};

/** Text of 3,072 characters. 17 of them are distinct. */
export const text = "The cat sat on a mat.\nIt had a hat.\n\nSo it sat.\n".repeat(64);

/** The smallest run with all kinds of events. */
export const tiny = [
  ...["--data", "text.txt", "--backend", "reference", "--model.contextLength", "8", "--model.nLayer", "1"],
  ...["--model.nHead", "2", "--model.nEmbd", "8", "--batch-size", "2", "--steps", "6", "--eval-interval", "2"],
  ...["--checkpoint-interval", "3", "--train.sampleTokens", "5", "--train.warmupSteps", "2"],
];

/** `base` with other values of some flags. Each flag occurs only once. */
export const withFlags = (base: readonly string[], flags: readonly string[]): string[] => [
  ...base.filter((_, i) => !flags.includes(base[i - (i % 2)] ?? "")),
  ...flags,
];

/** `tiny` with other values of some flags, or with more flags. */
export const tinyWith = (...flags: readonly string[]): string[] => withFlags(tiny, flags);

/** A temporary folder that contains `text.txt`. */
export const workplace = async (): Promise<{ readonly cwd: string; readonly remove: () => Promise<void> }> => {
  const cwd = await mkdtemp(join(tmpdir(), "foretoken-cli-"));
  await writeFile(join(cwd, "text.txt"), text);
  return { cwd, remove: () => rm(cwd, { recursive: true, force: true }) };
};

/** All paths below `folder`, sorted. */
export const tree = (folder: string): string[] => readdirSync(folder, { recursive: true }).map(String).sort();

/** Standard output, parsed as one JSON object per line. Throws if a line is not JSON. */
export const jsonLines = (stdout: string): Record<string, unknown>[] =>
  stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
