/** `foretoken generate --prompts`: writes a text for each prompt of a file, in batches. */
import { existsSync } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { ConfigError } from "../../core/errors/errors.ts";
import type { GenerateManyOptions } from "../../generate/generate-many.ts";
import { checkSlide, generateDefaults } from "../../generate/options.ts";
import { takeLock } from "../../io/lock.node.ts";
import type { UnknownChoice } from "../../tokenizer/unknown.ts";
import type { WorkerModel } from "../../worker/model.node.ts";
import { formatCount, formatDuration, formatPlural } from "../display/texts/format.ts";
import { host } from "../process/host.ts";
import { type Interrupt, onInterrupt } from "../process/interrupt.ts";
import { onOutputEnd, writeJson, writeNotice } from "../process/output.ts";
import { progressLine } from "../process/progress-line.ts";
import { checkReadable, type FilePrompt, readPrompts } from "./prompts-file.ts";
import { openTexts, readTexts, textLine } from "./texts-file.ts";

/** Input of the command. */
export interface WriteTextsRequest {
  /** Path of the prompts. */
  readonly prompts: string;
  /** Path for the texts. If undefined, the texts go to standard output. */
  readonly out: string | undefined;
  readonly settings: Omit<GenerateManyOptions, "signal"> & { readonly unknown: UnknownChoice };
}

/** Maximum number of existing texts that are generated again and compared. */
const mostCompared = 4;

/**
 * Checks that this model with these settings wrote the existing texts: the new texts must match the existing texts.
 * Some texts are generated again and compared.
 */
const checkWritten = async (
  lm: WorkerModel,
  { settings, out }: WriteTextsRequest,
  prompts: readonly FilePrompt[],
  texts: readonly string[],
): Promise<void> => {
  const count = Math.min(mostCompared, texts.length);
  const places = Array.from({ length: count }, (_, i) => Math.floor((i * texts.length) / count));
  const again = places.map((place) => (prompts[place] as FilePrompt).options);
  for await (const { index, text } of lm.generateMany(again, settings)) {
    const place = places[index] as number;
    if (text === texts[place]) continue;
    throw new ConfigError({
      where: "--out",
      must: "the texts in this file must come from the same model with the same settings",
      got: `${out}, whose text ${place + 1} differs`,
      hint: "the settings of the first texts in this file, or another file name",
    });
  }
};

/** Warns if texts will certainly exceed the context. Each further token then needs the time for a whole window. */
const tellPastContext = ({ config }: WorkerModel, settings: WriteTextsRequest["settings"]): void => {
  const { maxNewTokens = generateDefaults.maxNewTokens, slide = 0 } = settings;
  const { contextLength, position } = config;
  if (maxNewTokens < contextLength || slide > 0) return;
  const most = `--max-new-tokens ${Math.max(1, Math.floor(contextLength / 2))}`;
  const ways = position.kind === "rope" && contextLength >= 96 ? `--slide 32, or ${most}` : most;
  writeNotice(
    `${formatCount(maxNewTokens)} new tokens do not fit into the context of ${formatCount(contextLength)}; each token beyond the context takes much longer. ${ways} is faster`,
  );
};

/** Writes the missing texts in the order of their prompts. Returns the number of written texts. */
const writeMissing = async (
  lm: WorkerModel,
  { settings }: WriteTextsRequest,
  {
    prompts,
    done,
    put,
  }: { readonly prompts: readonly FilePrompt[]; readonly done: number; put(line: object): Promise<void> },
  signal: AbortSignal,
): Promise<number> => {
  tellPastContext(lm, settings);
  const progress = progressLine();
  const began = performance.now();
  let count = 0;
  let tokens = 0;
  const missing = prompts.slice(done);
  try {
    for await (const text of lm.generateMany(
      missing.map(({ options }) => options),
      { ...settings, signal },
    )) {
      await put(textLine(missing[text.index] as FilePrompt, done + text.index, text));
      count++;
      tokens += text.newTokens;
      const seconds = (performance.now() - began) / 1000;
      const left = formatDuration((seconds / count) * (missing.length - count));
      progress.update(
        `${formatCount(done + count)} of ${formatPlural(prompts.length, "text")} · ${formatCount(tokens / seconds)} tokens/s · ${left} left`,
      );
    }
  } finally {
    progress.clear();
  }
  if (count > 0) {
    const seconds = (performance.now() - began) / 1000;
    writeNotice(
      `${formatPlural(count, "text")}, ${formatPlural(tokens, "token")} in ${formatDuration(seconds)}: ${formatCount(tokens / seconds)} tokens/s`,
    );
  }
  return count;
};

const toFile = async (
  lm: WorkerModel,
  request: WriteTextsRequest,
  prompts: readonly FilePrompt[],
  out: string,
  { signal }: Interrupt,
) => {
  const lock = await takeLock(`${out}.lock`, out);
  try {
    const written = await readTexts(out, prompts);
    const { texts } = written;
    const done = texts.length;
    if (done > 0) await checkWritten(lm, request, prompts, texts);
    if (done === prompts.length) {
      writeNotice(`all ${formatPlural(done, "text")} are in ${out} already`);
      return;
    }
    if (done > 0) {
      writeNotice(`${out} has ${formatCount(done)} of ${formatPlural(prompts.length, "text")}: continuing`);
    }
    const isNew = !existsSync(out);
    const lines = await openTexts(out, written);
    try {
      const count = await writeMissing(lm, request, { prompts, done, put: lines.append }, signal);
      await lines.flush();
      if (done + count < prompts.length) {
        writeNotice(
          `${out} has ${formatCount(done + count)} of ${formatPlural(prompts.length, "text")}; to continue, run the same command again`,
        );
      }
    } finally {
      await lines.close();
      // A damaged model gives no text. If somebody has removed the file, the error of the texts is the one to report.
      const found = isNew ? await stat(out).catch(() => undefined) : undefined;
      if (found?.size === 0) await rm(out, { force: true });
    }
  } finally {
    await lock.release();
  }
};

/** @param open loads the model. `open` is called after the check of the prompts. */
export const writeTexts = async (open: () => Promise<WorkerModel>, request: WriteTextsRequest): Promise<void> => {
  const prompts = await readPrompts(request.prompts);
  // Check the output file before loading the model.
  if (request.out !== undefined) {
    const folder = dirname(request.out);
    if (!existsSync(folder)) {
      throw new ConfigError({
        where: "--out",
        must: "must be in an existing folder",
        got: request.out,
        hint: `mkdir -p ${folder}`,
      });
    }
    await readTexts(request.out, prompts);
  }
  const lm = await open();
  const interrupt = onInterrupt(() => {});
  onOutputEnd(interrupt.abort);
  try {
    // The prompts are checked before the output file is created.
    checkSlide(request.settings.slide ?? generateDefaults.slide, lm.config, "--slide");
    checkReadable(request.prompts, prompts, lm, request.settings.unknown);
    if (request.out !== undefined) await toFile(lm, request, prompts, request.out, interrupt);
    else {
      const put = async (line: object): Promise<void> => writeJson(line);
      await writeMissing(lm, request, { prompts, done: 0, put }, interrupt.signal);
    }
    if (interrupt.signal.aborted) host.exitCode = interrupt.status();
  } finally {
    interrupt.release();
    await lm.close();
  }
};
