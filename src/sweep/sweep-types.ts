/** The form of a sweep's file, for programs: `sweepSchema` checks it. */
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

/** A setting that is named by itself. */
export interface NamedSetting extends SweepFields {
  /** Its name in tables. Default: its number. */
  readonly name?: string | undefined;
}

/** Values at equal distances. */
export interface SteppedRange {
  /** First value. */
  readonly from: number;
  /** Last value, if a whole number of steps leads to it. */
  readonly to: number;
  /** Distance of two values, above 0. */
  readonly step: number;
}

/** So many values. */
export interface CountedRange {
  /** First value. */
  readonly from: number;
  /** Last value. */
  readonly to: number;
  /** Number of values, from 2. */
  readonly count: number;
  /** `log`: equal ratios between values. Default `linear`. */
  readonly scale?: "linear" | "log" | undefined;
}

/** Settings end where a test finds another one better. */
export interface RaceRule {
  /** Which rule it is. */
  readonly kind: "race";
  /** At most this probability, in the whole sweep, that the best setting is stopped. In (0, 1). Default 0.05. */
  readonly error?: number | undefined;
}

/** The better half goes on after each stage. */
export interface HalvingRule {
  /** Which rule it is. */
  readonly kind: "halving";
  /** Shares of a run's steps at which halves end, rising, in (0, 1). Default 0.25 and 0.5. */
  readonly stages?: readonly number[] | undefined;
}

/** Every setting trains to its end. */
export interface NeverRule {
  /** Which rule it is. */
  readonly kind: "never";
}

/** A budget of steps. */
export interface StepBudget {
  /** Training steps of all runs together. */
  readonly steps: number;
}

/** A budget of time. */
export interface MinuteBudget {
  /** Minutes of the whole sweep. Its table then depends on the machine. */
  readonly minutes: number;
}

/** What a sweep tries: the contents of its file. */
export interface SweepConfig extends SweepFields {
  /** Address of the JSON schema, for editors. */
  readonly $schema?: string | undefined;
  /** Name of a corpus, or path of a UTF-8 text or of a folder of them. */
  readonly data: string;
  /** Preset of all settings. Default: as for `train`. */
  readonly preset?: PresetName | undefined;
  /** Fields, as "train.learningRate", with lists or ranges of values: all combinations are tried. */
  readonly vary?:
    | Readonly<Record<string, readonly (number | string | boolean)[] | SteppedRange | CountedRange>>
    | undefined;
  /** Settings one by one; each with all combinations of `vary`. */
  readonly settings?: readonly NamedSetting[] | undefined;
  /** Number of seeds, or the seeds: the same for each setting. Default 3. */
  readonly seeds?: number | readonly number[] | undefined;
  /** Share of the text that chooses weights and settings. In (0, 1). Default 0.1. */
  readonly choose?: number | undefined;
  /** Share of the text, at its end, on which the winner is measured once. In (0, 1). Default 0.1. */
  readonly heldOut?: number | undefined;
  /** When settings end early. Default: a race with several seeds, else never. */
  readonly stop?: RaceRule | HalvingRule | NeverRule | undefined;
  /** What the sweep may take: where it is too little, fewer of the best settings go on. Default: what it takes. */
  readonly budget?: StepBudget | MinuteBudget | undefined;
}
