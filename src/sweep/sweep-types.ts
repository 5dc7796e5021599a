/** Types of a sweep's file, for programs; `sweepSchema` checks them. */
import type { RunConfig } from "../config/config.ts";
import type { PartialConfig } from "../config/merge.ts";
import type { PresetName } from "../config/presets.ts";

/** Fields of a configuration. */
export interface SweepFields {
  /** Fields of the tokenizer. */
  readonly tokenizer?: PartialConfig<RunConfig["tokenizer"]> | undefined;
  /** Fields of the model. */
  readonly model?: PartialConfig<RunConfig["model"]> | undefined;
  /** Fields of the training. */
  readonly train?: PartialConfig<RunConfig["train"]> | undefined;
}

/** A setting listed in `settings`. */
export interface NamedSetting extends SweepFields {
  /** Name in tables. Default: its number. */
  readonly name?: string | undefined;
}

/** Range of values with equal steps. */
export interface SteppedRange {
  /** First value. */
  readonly from: number;
  /** Last value; included if a whole number of steps leads to it. */
  readonly to: number;
  /** Distance between two values; above 0. */
  readonly step: number;
}

/** Range with a given number of values. */
export interface CountedRange {
  /** First value. */
  readonly from: number;
  /** Last value. */
  readonly to: number;
  /** Number of values, from 2. */
  readonly count: number;
  /** `log`: equal ratios between values. Default: `linear`. */
  readonly scale?: "linear" | "log" | undefined;
}

/** Rule: a setting ends early if a statistical test finds another setting better. */
export interface RaceRule {
  /** Which rule it is. */
  readonly kind: "race";
  /** Maximum probability that the best setting is stopped. In (0, 1). Default: 0.05. */
  readonly error?: number | undefined;
  /**
   * What `error` is for: the whole sweep, or each comparison of two settings. `comparison` saves more steps, but more
   * often stops the best of settings that are almost equal. Default: `sweep`.
   */
  readonly per?: "sweep" | "comparison" | undefined;
}

/** Rule: only the better half continues after each stage. */
export interface HalvingRule {
  /** Which rule it is. */
  readonly kind: "halving";
  /** Shares of a run's steps after which the worse half ends; increasing, in (0, 1). Default: 0.25 and 0.5. */
  readonly stages?: readonly number[] | undefined;
}

/** Rule: every setting trains to its last step. */
export interface NeverRule {
  /** Which rule it is. */
  readonly kind: "never";
}

/** Budget of training steps. */
export interface StepBudget {
  /** Training steps of all runs together. */
  readonly steps: number;
}

/** Budget of time. */
export interface MinuteBudget {
  /** Minutes of the whole sweep. The result then depends on the speed of the machine. */
  readonly minutes: number;
}

/** Settings to try: the contents of a sweep's file. */
export interface SweepConfig extends SweepFields {
  /** Address of the JSON schema, for editors. */
  readonly $schema?: string | undefined;
  /** Name of a corpus, or path of a UTF-8 text or of a folder of texts. */
  readonly data: string;
  /** Preset of all settings. Default: the default of `train`. */
  readonly preset?: PresetName | undefined;
  /**
   * Model, or list of models, from which all settings learn in addition to the text (the option `teacher` of `train`).
   * Give models that were not trained on the held-out text. Default: none.
   */
  readonly teacher?: string | readonly string[] | undefined;
  /** Fields such as "train.learningRate", with lists or ranges of values; all combinations are tried. */
  readonly vary?:
    | Readonly<Record<string, readonly (number | string | boolean)[] | SteppedRange | CountedRange>>
    | undefined;
  /** List of settings; each is combined with all combinations of `vary`. */
  readonly settings?: readonly NamedSetting[] | undefined;
  /** Number of seeds, or a list of seeds; each setting uses the same seeds. Default: 3. */
  readonly seeds?: number | readonly number[] | undefined;
  /** Share of the text for choosing weights and settings. In (0, 1). Default: 0.1. */
  readonly choose?: number | undefined;
  /** Share of the text, at its end, for measuring the winner once. In (0, 1). Default: 0.1. */
  readonly heldOut?: number | undefined;
  /** When settings end early. Default: a race if there are several seeds, otherwise never. */
  readonly stop?: RaceRule | HalvingRule | NeverRule | undefined;
  /** Limit of the whole sweep; if it is too small for all settings, only the best ones continue. Default: no limit. */
  readonly budget?: StepBudget | MinuteBudget | undefined;
}
