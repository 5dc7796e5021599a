import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { CheckpointError } from "../core/errors/errors.ts";
import { oneLine } from "../core/text/one-line.ts";
import { shorten } from "../core/text/show.ts";
import type { ChatTemplate } from "../pretrained/model/language-model.ts";
import type { LearnedTemplate, Written } from "./answers.ts";
import type { ChatMessage, TemplateMessage } from "./messages.ts";

/** Limits for rendering one conversation. No known template comes near these limits. */
const limits = { milliseconds: 5000, mebibytes: 256, bytes: 2 ** 23 } as const;

/**
 * Time limit in milliseconds for each conversation of a data set. The limit is longer than for a single conversation,
 * because no user waits and the machine may be busy.
 */
const patience = 20_000;

const entry = fileURLToPath(new URL("./template-entry.node.js", import.meta.url));

/** Result of rendering: the text, or an error message. */
type Outcome = { readonly text: string } | { readonly fault: string };

/** A process that runs templates. */
interface TemplateProcess {
  /** Sends a request. Outcomes come in the order of the requests. */
  send(request: string): void;
  /** The next outcome as a line of JSON, or the reason for a missing outcome. */
  next(): Promise<{ readonly line: string } | { readonly fault: string }>;
  end(): void;
  /** Whether the process has ended or was stopped. */
  readonly hasEnded: boolean;
}

/**
 * Starts a process that runs templates. A thread is not enough: a thread that uses too much memory would end the whole
 * program.
 */
const startProcess = (milliseconds: number): TemplateProcess => {
  const args = [`--max-old-space-size=${limits.mebibytes}`, entry];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "ignore"], env: {} });
  let pieces: Buffer[] = [];
  let bytes = 0;
  const lines: string[] = [];
  let waiting = 0;
  let fault: string | undefined;
  let wake: (() => void) | undefined;
  const fail = (reason: string): void => {
    fault ??= reason;
    child.kill("SIGKILL");
    wake?.();
  };
  child.stdout.on("data", (chunk: Buffer) => {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...pieces, chunk.subarray(from, end)]).toString("utf8");
      lines.push(line);
      waiting += line.length;
      pieces = [];
      bytes = 0;
      from = end + 1;
    }
    pieces.push(chunk.subarray(from));
    bytes += chunk.length - from;
    if (bytes > limits.bytes) fail(`more than ${limits.bytes} bytes`);
    if (waiting > limits.bytes) child.stdout.pause();
    wake?.();
  });
  child.on("error", (error) => fail(error.message));
  // Writing to a process that has already ended gives an error. The error is ignored: `close` reports the reason.
  child.stdin.on("error", () => {});
  child.on("close", () => fail(`no text with ${limits.mebibytes} MiB of memory`));
  return {
    send: (request) => void child.stdin.write(`${request}\n`),
    async next() {
      const timer = setTimeout(() => fail(`no end after ${milliseconds / 1000} s`), milliseconds);
      try {
        while (lines.length === 0 && fault === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      } finally {
        clearTimeout(timer);
      }
      const line = lines.shift();
      waiting -= line?.length ?? 0;
      if (waiting <= limits.bytes) child.stdout.resume();
      return line === undefined ? { fault: fault ?? "no text" } : { line };
    },
    end: () => void child.kill("SIGKILL"),
    get hasEnded() {
      return fault !== undefined;
    },
  };
};

const parsed = <T>(outcome: { readonly line: string } | { readonly fault: string }): T | { readonly fault: string } => {
  if ("fault" in outcome) return outcome;
  try {
    return JSON.parse(outcome.line) as T;
  } catch {
    return { fault: "no text" };
  }
};

const run = async (request: string): Promise<Outcome> => {
  const child = startProcess(limits.milliseconds);
  try {
    child.send(request);
    return parsed<Outcome>(await child.next());
  } finally {
    child.end();
  }
};

const faulty = (where: string, fault: string): CheckpointError =>
  new CheckpointError({
    where,
    must: "the chat template must render the conversation",
    got: shorten(oneLine(fault)),
    hint: "another model, or `foretoken generate`",
  });

/** Renders a conversation with its template. See `renderTemplate`. */
export type RenderTemplate = (
  template: ChatTemplate,
  messages: readonly TemplateMessage[],
  where: string,
  tools?: readonly unknown[],
) => Promise<string>;

const requestOf = (
  { template, bosToken, eosToken }: ChatTemplate,
  messages: readonly TemplateMessage[],
  tools: readonly unknown[],
): string =>
  JSON.stringify({
    template,
    variables: {
      ...{ messages, add_generation_prompt: true, bos_token: bosToken, eos_token: eosToken },
      // An empty `tools` is left out, as in `transformers`: templates test only whether `tools` exists.
      ...(tools.length === 0 ? {} : { tools }),
    },
  });

/**
 * Renders a conversation as the text that the model continues. A template is a program by the author of the model. The
 * template runs in a separate process with limited time, memory and output.
 * @param where the model, for errors.
 * @param tools for the template. Default: none.
 * @throws CheckpointError for a template that is faulty, refuses the messages, or exceeds a limit.
 */
export const renderTemplate: RenderTemplate = async (template, messages, where, tools = []) => {
  const outcome = await run(requestOf(template, messages, tools));
  if ("text" in outcome) return outcome.text;
  throw faulty(where, outcome.fault);
};

/** Renders many conversations, one after another. */
export interface TemplateRenderer {
  /**
   * Like `renderTemplate`, but one process renders many conversations.
   * @param signal when it is aborted, the request leaves the queue.
   */
  render(
    template: ChatTemplate,
    messages: readonly TemplateMessage[],
    where: string,
    tools?: readonly unknown[],
    signal?: AbortSignal,
  ): Promise<string>;
  /** Ends the process. Nothing can be rendered afterwards. */
  close(): void;
}

/**
 * Opens a renderer that uses one process for many conversations, one after another. The limits apply to each
 * conversation. After a fault, the renderer starts a new process.
 */
export const openTemplateRenderer = (): TemplateRenderer => {
  let child: TemplateProcess | undefined;
  let last: Promise<unknown> = Promise.resolve();
  let isClosed = false;
  const end = (): void => {
    child?.end();
    child = undefined;
  };
  const renderNext = async (request: string): Promise<Outcome> => {
    if (isClosed) return { fault: "a renderer that was closed" };
    if (child === undefined || child.hasEnded) child = startProcess(limits.milliseconds);
    child.send(request);
    const line = await child.next();
    // End the process after a fault. Otherwise its late output would be mistaken for the outcome of another request.
    if ("fault" in line) end();
    return parsed<Outcome>(line);
  };
  return {
    async render(template, messages, where, tools = [], signal = undefined) {
      const outcome = last.then(() => {
        signal?.throwIfAborted();
        return renderNext(requestOf(template, messages, tools));
      });
      last = outcome.catch(() => {});
      const found = await outcome;
      if ("text" in found) return found.text;
      throw faulty(where, found.fault);
    },
    close() {
      isClosed = true;
      end();
    },
  };
};

/**
 * Limits on the total size and the number of requests that wait in the process. With waiting requests, the process is
 * never idle. The limits keep its memory small.
 */
const ahead = { characters: 2 ** 20, requests: 256 } as const;

/**
 * Renders conversations in order and finds the positions of their answers. One process renders all conversations. The
 * limits apply to each conversation.
 * @param milliseconds time limit for one conversation.
 */
export async function* writeConversations(
  template: LearnedTemplate,
  conversations: Iterable<readonly ChatMessage[]>,
  milliseconds: number = patience,
): AsyncGenerator<Written, void, undefined> {
  const child = startProcess(milliseconds);
  const sent: number[] = [];
  let characters = 0;
  try {
    child.send(JSON.stringify({ learn: template }));
    const begun = parsed<Written>(await child.next());
    if ("fault" in begun) {
      yield begun;
      return;
    }
    const requests = conversations[Symbol.iterator]();
    for (let open = true; open || sent.length > 0; ) {
      while (open && sent.length < ahead.requests && characters < ahead.characters) {
        const { value: messages, done } = requests.next();
        if (done === true) open = false;
        else {
          const request = JSON.stringify({ messages });
          child.send(request);
          sent.push(request.length);
          characters += request.length;
        }
      }
      const length = sent.shift();
      if (length === undefined) return;
      characters -= length;
      yield parsed<Written>(await child.next());
    }
  } finally {
    child.end();
  }
}
