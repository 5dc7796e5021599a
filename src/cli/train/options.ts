/** Builds the options of a run from the flags of `foretoken train`. */
import type { Command } from "commander";
import type { RunConfig, TrainConfig } from "../../config/config.ts";
import { merge, type PartialConfig } from "../../config/merge.ts";
import { mostTemplate } from "../../config/options.ts";
import { defaultPreset, presetNames } from "../../config/presets.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { readRegularFile, UnreadableFileError } from "../../core/system/regular-file.node.ts";
import { isCorpusName } from "../../data/corpora.node.ts";
import { planConfig } from "../../train/prepare/prepare.ts";
import type { TrainOptions } from "../../worker/train.node.ts";
import {
  type ConfigFlags,
  changesFromFlags,
  type FlagChanges,
  fieldNamer,
  readConfigFile,
} from "../flags/config-flags.ts";
import { isGiven, parseChoice } from "../flags/flags.ts";
import { inFlags } from "../flags/option-names.ts";
import type { TrainFlags } from "./flags.ts";

/** Flags that are allowed with --resume. Such flags do not change the results of finished steps. */
const allowedWithResume = [
  "--resume",
  "--steps",
  "--train.steps",
  "--extend",
  "--data",
  "--val-data",
  "--teacher",
  "--backend",
  "--threads",
  "--stop-at",
  "--keep-last",
  "--on-nonfinite",
  "--train.onNonfinite",
  "--profile",
  "--studio",
  "--no-memory-check",
  "--json",
  "--verbose",
];

const checkResume = (command: Command): void => {
  const other = command.options.find(
    (option) => isGiven(command, option) && !allowedWithResume.includes(option.long ?? ""),
  );
  if (other === undefined) return;
  throw new ConfigError({
    where: "--resume",
    must: "cannot be combined with flags that change the run",
    got: other.long ?? other.flags,
    hint: "a new run, or --resume with --steps, --extend, --data, --teacher or a flag such as --threads, --stop-at or --json",
  });
};

/** @throws ConfigError for a file that is not a template. */
const readChatTemplate = async (path: string): Promise<string> => {
  const refuse = (got: string, cause?: unknown): never => {
    const must = `must be a file with a Jinja template, of at most ${mostTemplate} bytes`;
    throw new ConfigError({ where: `--chat-template ${path}`, must, got, ...(cause === undefined ? {} : { cause }) });
  };
  const bytes = await readRegularFile(path, { maxBytes: mostTemplate, followLinks: true }).catch((cause: unknown) =>
    refuse(cause instanceof UnreadableFileError ? cause.got : (systemErrorCode(cause) ?? String(cause)), cause),
  );
  return bytes.length === 0 ? refuse("an empty file") : new TextDecoder().decode(bytes);
};

const resumedRunOptions = async (
  command: Command,
  { data, valData, teacher, extend }: TrainFlags,
  resume: string,
  configFlags: ConfigFlags,
): Promise<TrainOptions> => {
  checkResume(command);
  const { train } = changesFromFlags(command, configFlags).changes;
  const { onNonfinite, steps } = (train ?? {}) as Partial<TrainConfig>;
  return { resume, data, valData, teacher, onNonfinite, steps, extend };
};

/** Changes that do not depend on the model. */
const ofTraining = ({ changes: { train = {}, lora } }: FlagChanges) => ({
  train,
  ...(lora === undefined ? {} : { lora }),
});

const newRunOptions = async (command: Command, flags: TrainFlags, configFlags: ConfigFlags): Promise<TrainOptions> => {
  if (flags.extend !== undefined) {
    throw new ConfigError({ where: "--extend", must: "works only with --resume and --steps", got: "no --resume" });
  }
  const changes = changesFromFlags(command, configFlags);
  const path = flags.config;
  const contents = path === undefined ? {} : await readConfigFile(path);
  const named =
    flags.preset ??
    (contents.preset === undefined ? undefined : parseChoice(`${path}: preset`, presetNames)(contents.preset));
  // For the user's own text, the defaults depend on the size of the text. For a given model, the defaults depend on the
  // size of the model.
  const own = flags.initFrom !== undefined || (flags.data !== undefined && !isCorpusName(flags.data));
  const preset = named ?? (own ? undefined : defaultPreset);
  const { tokenizer = {}, model = {}, train = {} } = contents;
  const lora = contents.lora === undefined ? {} : { lora: contents.lora };
  const file = path === undefined ? undefined : { path, contents };
  const { initFrom, teacher } = flags;
  const asked = () => merge({ tokenizer, model, ...lora, train }, changes.changes) as PartialConfig<RunConfig>;
  const config = ((): PartialConfig<RunConfig> => {
    try {
      const name = fieldNamer(changes, file);
      // The initial model has not been read yet, so the run checks the model's fields later.
      const known =
        initFrom === undefined
          ? [{ tokenizer, model, ...lora, train }, changes.changes]
          : [{ ...lora, train }, ofTraining(changes)];
      const { expected } = planConfig(preset, known, name);
      if (preset !== undefined && initFrom === undefined) {
        // The tokenizer of a run with teachers is the first teacher's, unless the user asks for another one.
        return teacher === undefined ? expected : { ...expected, tokenizer: asked().tokenizer ?? {} };
      }
      return preset === undefined ? asked() : { ...asked(), train: expected.train };
    } catch (error) {
      // An error about the config file uses the file's field names.
      const inFile = error instanceof ConfigError && path !== undefined && error.details.where.startsWith(`${path}: `);
      throw inFile ? error : inFlags(error);
    }
  })();
  return {
    preset,
    initFrom,
    keepBlocks: flags.widen === true ? false : undefined,
    teacher,
    config,
    // If samples during the run are off, the final sample is also off.
    ...(asked().train?.sampleTokens === 0 ? { finalSampleTokens: 0 } : {}),
    chatTemplate: flags.chatTemplate === undefined ? undefined : await readChatTemplate(flags.chatTemplate),
    data: flags.data,
    valData: flags.valData,
    valFraction: flags.valFraction,
    out: flags.out,
  };
};

/** The run's options from the command line, without the options that control how the run computes. */
export const runOptions = (command: Command, flags: TrainFlags, configFlags: ConfigFlags): Promise<TrainOptions> =>
  flags.resume === undefined
    ? newRunOptions(command, flags, configFlags)
    : resumedRunOptions(command, flags, flags.resume, configFlags);
