import type { Command } from "commander";
import { openBackend } from "../../backend/select.node.ts";
import { commandLine } from "../../core/text/shell-word.ts";
import { corpusNames, loadCorpus } from "../../data/corpora.node.ts";
import { type Corpus, countCharacters } from "../../data/corpus.ts";
import { lessonInput } from "../../lesson/input.ts";
import { type LessonName, lessonNames, lessons, lessonsInTurn } from "../../lesson/lessons.ts";
import type { Lesson } from "../../lesson/piece.ts";
import { shortText } from "../../lesson/small-model-config.ts";
import { formatCount, formatPlural } from "../display/texts/format.ts";
import { nextLines } from "../display/texts/next-commands.ts";
import { chooseBackend } from "../flags/backend-choice.ts";
import {
  addRunningFlags,
  checkArguments,
  parseChoice,
  parseInteger,
  parsePath,
  parseText,
  type RunningFlags,
} from "../flags/flags.ts";
import { inFlags } from "../flags/option-names.ts";
import { notes } from "../help.ts";
import { readKeys } from "../lesson/keys.ts";
import { showOnTerminal, showPlain, widest } from "../lesson/show.ts";
import { host } from "../process/host.ts";
import { type Interrupt, onInterrupt } from "../process/interrupt.ts";
import { onOutputEnd, writeJson, writeNotice, writeOut } from "../process/output.ts";
import { canRedraw, checkSize, reflowIn, styleFor, terminalColumns } from "../process/terminal.ts";

interface LessonFlags extends RunningFlags {
  readonly data?: string;
  readonly text?: string;
  readonly seed: number;
}

const all = "all";
type Part = LessonName | typeof all;
const parts: readonly Part[] = [...lessonNames, all];

/** Part names on the lesson's page (keys) that differ from the part names here (values). */
const partsOfThePage = { text: "pairs", training: "loss", writing: "generation" };

const examples = `
Examples:
  $ npx foretoken lesson                                   all parts, one after the other
  $ npx foretoken lesson pairs                             one part
  $ npx foretoken lesson pairs --text "To be or not"       with your own line
  $ npx foretoken lesson all --data notes.txt --seed 2     on your own text
  $ npx foretoken lesson all > lesson.txt                  plain text, without pauses

The parts:
${lessonNames.map((name) => `  ${name.padEnd(13)}${lessons[name].summary}`).join("\n")}

In a terminal, Enter or space continues, and q ends the lesson. Every figure is computed while you read.`;

const withKeys = async (lesson: Lesson, interrupt: Interrupt): Promise<void> => {
  const { stdin, stdout } = host;
  const keys = readKeys(stdin, {
    // While keys are read one by one, Ctrl-C and similar keys do not send signals.
    onInterrupt: () => host.emit("SIGINT", "SIGINT"),
    onSuspend: () => {
      if (process.platform !== "win32") process.kill(process.pid, "SIGTSTP");
    },
    onEnd: interrupt.abort,
  });
  const reflow = reflowIn(process.env);
  try {
    await showOnTerminal(
      lesson,
      {
        get columns() {
          return terminalColumns(stdout);
        },
        get rows() {
          return stdout.rows || 24;
        },
        reflows: reflow.lines,
        reflowsCursorLine: reflow.cursorLine,
        write: writeOut,
        checkSize: () => checkSize(stdout),
        onResize: (listener) => {
          stdout.on("resize", listener);
          return () => stdout.off("resize", listener);
        },
        nextWish: keys.next,
        now: () => performance.now(),
      },
      styleFor(stdout),
    );
  } finally {
    keys.close();
  }
};

const show = async (lesson: Lesson, json: boolean, interrupt: Interrupt): Promise<void> => {
  if (json) {
    for await (const piece of lesson) writeJson(piece);
  } else if (host.stdin.isTTY && canRedraw(host.stdout)) await withKeys(lesson, interrupt);
  else await showPlain(lesson, writeOut, Math.min(widest, terminalColumns(host.stdout)), styleFor(host.stdout));
};

/** Lines that suggest the command for the next part. Empty after the last part. */
const nextPart = (part: Part, data: string | undefined): readonly string[] => {
  const next = part === all ? undefined : lessonNames[lessonNames.indexOf(part) + 1];
  if (next === undefined) return [];
  const command = {
    command: commandLine(["lesson", next, ...(data === undefined ? [] : ["--data", data])]),
    purpose: lessons[next].summary,
  };
  return nextLines([command], Math.min(widest, terminalColumns(host.stdout)), styleFor(host.stdout));
};

/** Notice for a text that is too short for training. Undefined if the text is long enough. */
const shortNotice = (parts: readonly LessonName[], { name, train, val }: Corpus): string | undefined => {
  const length = countCharacters(train) + countCharacters(val);
  if (length >= shortText || !parts.some((part) => lessons[part].trains)) return undefined;
  return `${name} is short, ${formatPlural(length, "character")}: the model will memorise parts of it; use a text of at least ${formatCount(shortText)} characters to see more`;
};

const runLesson = async (part: Part, flags: LessonFlags): Promise<void> => {
  const { data, text, seed, threads, json } = flags;
  const corpus = await loadCorpus(data);
  const { backend: name, remark } = await chooseBackend(flags);
  const backend = await openBackend(name, { threads });
  const interrupt = onInterrupt(() => {});
  onOutputEnd(interrupt.abort);
  try {
    const clock = (): number => performance.now();
    const { signal } = interrupt;
    const input = lessonInput({ backend, corpus, text, where: "--text", seed, clock, signal });
    // Print this after all checks of the input. A mistake then prints only its error line.
    const names = part === all ? lessonNames : [part];
    for (const notice of [corpus.notice, remark, shortNotice(names, corpus)]) {
      if (notice !== undefined) writeNotice(notice);
    }
    await show(lessonsInTurn(names, input), json === true, interrupt);
    if (json !== true && !signal.aborted) for (const line of nextPart(part, data)) writeOut(`${line}\n`);
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
  } finally {
    interrupt.release();
    await backend.close();
  }
  const status = interrupt.status();
  if (status !== undefined) host.exitCode = status;
};

/** `foretoken lesson`. */
export const declareLesson = (command: Command): void => {
  command
    .usage("[part] [flags]")
    .argument("[part]", `${parts.slice(0, -1).join(", ")} or ${all}`, parseChoice("part", parts, partsOfThePage), all)
    .optionsGroup("Text: the text and the line that the lesson uses")
    .option(
      "--data <text>",
      "the name of a corpus, a UTF-8 file, or a folder of UTF-8 files (hidden files and node_modules are skipped) (default: tiny-shakespeare)",
      parsePath("--data", corpusNames),
    )
    .option(
      "--text <line>",
      "a line to look at; \\n, \\t and \\\\ are interpreted (default: a line of --data)",
      parseText("--text"),
    )
    .option("--seed <n>", "seed of all random numbers: weights, batches, samples", parseInteger("--seed", 0), 1);
  addRunningFlags(command)
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (part: Part, flags: LessonFlags) => {
      checkArguments(command);
      await runLesson(part, flags).catch((error: unknown) => {
        throw inFlags(error);
      });
    });
};
