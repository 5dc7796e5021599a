import { statSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import type { Command } from "commander";
import { ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { openRegularFile, UnreadableFileError } from "../../core/system/regular-file.node.ts";
import { quotePath, quoteWord } from "../../core/text/shell-word.ts";
import { replaceFile } from "../../io/files.node.ts";
import { isOurCsv, runsCsv } from "../../plot/csv.ts";
import { type MetricName, metricNames, type XName, xNames } from "../../plot/curves.ts";
import { openRuns } from "../../plot/runs.node.ts";
import { mostRuns } from "../../plot/style.ts";
import { isOurSvg, plotSvg } from "../../plot/svg.ts";
import type { ListedRun } from "../../runs/list/runs.node.ts";
import { formatPlural } from "../display/texts/format.ts";
import { comparableRuns } from "../display/texts/runs-table.ts";
import { expecting, parseChoice, parsePath } from "../flags/flags.ts";
import { notes } from "../help.ts";
import { host } from "../process/host.ts";
import { writeNotice, writeOut } from "../process/output.ts";
import { printableName, styleFor } from "../process/terminal.ts";
import { metricNamesOfOthers } from "../suggestions/values-of-others.ts";

interface PlotFlags {
  readonly out?: string;
  readonly metric: MetricName;
  readonly x: XName;
  readonly log: boolean;
  readonly csv: boolean;
}

const examples = `
Examples:
  $ npx foretoken plot runs/notes                            writes notes.svg
  $ npx foretoken plot runs/a runs/b --out compared.svg      also lists the differences of their configurations
  $ npx foretoken plot runs/notes --metric grad-norm --log
  $ npx foretoken plot runs/notes --csv --out - | head       the numbers

Any browser opens an SVG file. The file has light and dark colours and contains no script. Training losses are smoothed; a band
shows the lowest and the highest loss. The time axis counts only training steps, because the time of evaluations, samples and
pauses is not recorded. Each evaluation is drawn at the end of its step.`;

/** Default name of the output file. */
const fileName = (runs: readonly ListedRun[], ending: string): string => {
  const name = basename(resolve(runs[0]?.path ?? "run"));
  return `${name}${runs.length > 1 ? `-and-${runs.length - 1}-more` : ""}.${ending}`;
};

const pieceBytes = 2 ** 18;

/** Reads a file as text, piece by piece. */
async function* piecesOf(file: FileHandle): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  const buffer = Buffer.alloc(pieceBytes);
  for (let at = 0; ; ) {
    const { bytesRead } = await file.read(buffer, 0, pieceBytes, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield decoder.decode(buffer.subarray(0, bytesRead), { stream: true });
  }
}

/** Write permission bits in a file's mode: for owner, group and others. */
const anyWrites = 0o222;

/**
 * The reason why `path` must not be overwritten. Undefined if the file does not exist, is empty, or `isOurs` accepts
 * it.
 */
const reasonAgainst = async (
  path: string,
  isOurs: (pieces: AsyncIterable<string>) => Promise<boolean>,
): Promise<string | undefined> => {
  const another = ", which is another file";
  try {
    const file = await openRegularFile(path);
    try {
      const { mode, size } = await file.stat();
      if (size > 0 && !(await isOurs(piecesOf(file)))) return another;
      // A program can replace a read-only file if the file's folder is writable. But the read-only mode shows that the
      // user wants to keep the file.
      return (mode & anyWrites) === 0 ? ", which is read-only" : undefined;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof UnreadableFileError) return another;
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
};

/** @throws ConfigError if a file that plot did not write has this name, or if the file system refuses to write. */
const writeFileOfOurs = async (path: string, text: string, csv: boolean): Promise<void> => {
  const refused = (got: string, cause?: unknown): ConfigError =>
    new ConfigError({
      where: "--out",
      must: `must be a new file, or a file written by plot${csv ? " --csv" : ""}`,
      got: `${quoteWord(path)}${got}`,
      hint: "another name, or - for standard output",
      cause,
    });
  try {
    const reason = await reasonAgainst(path, csv ? isOurCsv : isOurSvg);
    if (reason !== undefined) throw refused(reason);
    await replaceFile(path, text);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === undefined) throw error;
    if (code === "ENOENT") {
      throw new ConfigError({
        where: "--out",
        must: "must be in an existing folder",
        got: quoteWord(path),
        hint: `mkdir -p ${quotePath(dirname(path))}`,
        cause: error,
      });
    }
    throw refused(`: ${code}`, error);
  }
};

/** @throws ConfigError for a file's name among the runs, because --csv takes no name. */
const checkNoFile = (paths: readonly string[]): void => {
  const file = paths.find(
    (path) => /\.(?:csv|svg)$/iu.test(path) && statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true,
  );
  if (file === undefined) return;
  throw new ConfigError({
    where: "<run...>",
    must: "must be folders of runs",
    got: quoteWord(file),
    hint: `--out ${quotePath(file)} for the name of the result`,
  });
};

const runPlot = async (paths: readonly string[], { out, csv, ...options }: PlotFlags): Promise<void> => {
  checkNoFile(paths);
  const { runs, drawn } = await openRuns("plot", paths);
  if (options.metric === "loss" && comparableRuns(runs).length > 1) {
    writeNotice("these runs have different texts or tokenizers, so their losses per token cannot be compared");
  }
  const text = csv ? runsCsv(drawn) : plotSvg(drawn, options);
  if (out === "-") {
    writeOut(text);
    return;
  }
  const path = out ?? fileName(runs, csv ? "csv" : "svg");
  await writeFileOfOurs(path, text, csv);
  const what = csv ? "the numbers" : `the ${options.metric.replaceAll("-", " ")}`;
  const shown = printableName(path, styleFor(host.stdout).symbols.unicode);
  writeOut(`${shown}: ${what} of ${formatPlural(runs.length, "run")}\n`);
};

const parseRuns = expecting(
  (word: string, earlier: readonly string[] = []): readonly string[] => [...earlier, parsePath("<run>")(word)],
  { paths: true },
);

/** `foretoken plot`. */
export const declarePlot = (command: Command): void => {
  command
    .usage("<run...> [flags]")
    .argument("<run...>", `folders of runs, at most ${mostRuns}`, parseRuns)
    .optionsGroup("Chart: curves and axes")
    .option(
      "--metric <name>",
      metricNames.join(", "),
      parseChoice("--metric", metricNames, metricNamesOfOthers),
      "loss",
    )
    .option(
      "--x <name>",
      "horizontal axis: number of steps, number of processed tokens, or time of the steps",
      parseChoice("--x", xNames),
      "steps",
    )
    .option("--log", "make the vertical axis logarithmic", false)
    .optionsGroup("Output: the file to write")
    .option(
      "--out <file>",
      "a new file, or a file written by plot; - for standard output (default: the first run's name)",
      parsePath("--out"),
    )
    .option("--csv", "write the numbers as a CSV table instead of a chart", false)
    .addHelpText("after", notes(examples))
    .action(runPlot);
};
