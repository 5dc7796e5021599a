import { createInterface, type Interface } from "node:readline";
import { ForetokenError } from "../../core/errors/errors.ts";
import { describeSkipped } from "../../tokenizer/unknown.ts";
import type { WorkerModel } from "../../worker/model.node.ts";
import { flow, formatPlural } from "../display/texts/format.ts";
import { type EventText, shownText, writeGenerated } from "../display/texts/generated.ts";
import { exitStatus } from "../process/exit-status.ts";
import { host } from "../process/host.ts";
import { onInterrupt } from "../process/interrupt.ts";
import { onOutputEnd, writeNotice, writeOut } from "../process/output.ts";
import { reflowIn, styleFor, terminalColumns } from "../process/terminal.ts";
import { openResizable } from "./resize.ts";
import type { Request, Session } from "./session.ts";

/** How to write a session's texts. */
export interface Writing {
  /** As events. */
  readonly json: boolean;
  /** Formats the text of an event. Default: the text itself. */
  readonly textOf?: ((showSpecialTokens: boolean) => EventText) | undefined;
}

const write = async (
  { prompt, events, showSpecialTokens, cut }: Extract<Request, { kind: "write" }>,
  { json, textOf }: Writing,
): Promise<void> => {
  const { stdout, stderr } = host;
  if (!json) writeOut(stdout.isTTY ? styleFor(stdout).colors.bold(shownText(prompt)) : prompt);
  const finishReason = await writeGenerated(events, json, textOf?.(showSpecialTokens), prompt);
  if (finishReason === "length" && cut !== undefined && !json) stderr.write(`${styleFor(stderr).colors.dim(cut)}\n`);
};

/** Handles one line. A mistake is printed as one line. Returns "quit", or whether the line succeeded. */
const answer = async (
  session: Session,
  line: string,
  signal: AbortSignal,
  writing: Writing,
  tell: (line: string) => void,
): Promise<boolean | "quit"> => {
  try {
    const request = session.ask(line, signal);
    switch (request.kind) {
      case "quit":
        return "quit";
      case "tell":
        for (const told of request.lines) tell(told);
        return true;
      case "write":
        if (request.skipped !== undefined) writeNotice(`left out: ${describeSkipped(request.skipped)}`);
        await write(request, writing);
        return true;
    }
  } catch (error) {
    if (!(error instanceof ForetokenError)) throw error;
    writeNotice(`foretoken: ${error.message}`);
    return false;
  }
};

/** Typed lines, and keys that interrupt a generation. */
export interface Keyboard {
  /** Whether the keyboard waits for a line. */
  isAsking(): boolean;
  /** Shows the prompt and waits for a line. Returns undefined at the end of input. */
  next(): Promise<string | undefined>;
  /**
   * Runs `work`. An empty line, Ctrl-C and the end of input abort the signal that `work` gets. A line of text also
   * aborts the signal, and `next` returns this line.
   */
  interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

export const keyboardOf = (readline: Interface): Keyboard => {
  const typed: string[] = [];
  let waiting: ((line: string | undefined) => void) | undefined;
  let writing: AbortController | undefined;
  let ended = false;
  const give = (line: string | undefined): void => {
    const taker = waiting;
    waiting = undefined;
    taker?.(line);
  };
  readline.on("line", (line) => {
    writing?.abort();
    if (waiting !== undefined) give(line);
    else if (line !== "") typed.push(line);
  });
  readline.on("SIGINT", () => {
    if (writing === undefined) readline.close();
    else writing.abort();
  });
  readline.on("close", () => {
    ended = true;
    writing?.abort();
    give(undefined);
  });
  return {
    isAsking: () => waiting !== undefined,
    next: () => {
      const line = typed.shift();
      if (line !== undefined || ended) return Promise.resolve(line);
      readline.prompt();
      return new Promise((resolve) => {
        waiting = resolve;
      });
    },
    async interruptible(work) {
      writing = new AbortController();
      try {
        return await work(writing.signal);
      } finally {
        writing = undefined;
      }
    },
  };
};

const onTerminal = async (about: readonly string[], session: Session, writing: Writing): Promise<void> => {
  const { stdin, stdout, stderr } = host;
  // Do not show typed text in a result that goes to a file or a program.
  const output = stdout.isTTY && !writing.json ? stdout : stderr;
  const style = styleFor(output);
  const open = (): Interface =>
    createInterface({
      input: stdin,
      output,
      prompt: style.colors.dim("> "),
      completer: (line: string) => [session.commands.filter((command) => command.startsWith(line)), line],
    });
  const readline = openResizable(output, open, () => keyboard.isAsking(), reflowIn(process.env).cursorLine);
  onOutputEnd(() => readline.close());
  const keyboard = keyboardOf(readline);
  const { dot } = style.symbols;
  const tell = (line: string): void => {
    output.write(`${line}\n`);
  };
  for (const line of flow(about, ` ${dot} `, terminalColumns(output))) tell(line);
  try {
    for (;;) {
      const line = await keyboard.next();
      if (line === undefined) break;
      const outcome = await keyboard.interruptible((signal) => answer(session, line, signal, writing, tell));
      if (outcome === "quit") break;
    }
  } finally {
    // Close the keyboard after an error, too: an open keyboard would keep the process alive.
    readline.close();
  }
  // Put the shell's prompt on its own line.
  output.write("\n");
};

const fromPipe = async (session: Session, writing: Writing): Promise<void> => {
  const { stdin } = host;
  const interrupt = onInterrupt(() => {});
  onOutputEnd(interrupt.abort);
  const readline = createInterface({ input: stdin, terminal: false });
  const stop = (): void => readline.close();
  interrupt.signal.addEventListener("abort", stop);
  try {
    for await (const line of readline) {
      if (interrupt.signal.aborted) break;
      if (line === "") continue;
      const outcome = await answer(session, line, interrupt.signal, writing, writeNotice);
      if (outcome === "quit") break;
      // Handle the remaining lines. The exit status still reports the mistake.
      if (!outcome) host.exitCode = exitStatus.mistake;
    }
  } finally {
    readline.close();
    interrupt.release();
  }
  // If the reader closed standard output, no signal came. So the status of an earlier mistake stays.
  const status = interrupt.status();
  if (status !== undefined) host.exitCode = status;
};

/** Facts about the model, shown on a terminal at the start. */
export const aboutModel = ({ parameters, config }: Pick<WorkerModel, "parameters" | "config">): readonly string[] => [
  formatPlural(parameters, "parameter"),
  `context ${config.contextLength}`,
];

/**
 * Handles prompts line by line: from a terminal until Ctrl-D or Ctrl-C, from a pipe until its end.
 * @param about facts about the model and hints for typing, shown at the start on a terminal.
 */
export const runInteractive = (about: readonly string[], session: Session, writing: Writing): Promise<void> =>
  host.stdin.isTTY ? onTerminal(about, session, writing) : fromPipe(session, writing);
