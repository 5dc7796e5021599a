/** Input of a run. */

import type { Backend } from "../../backend/backend.ts";
import type { RunConfig } from "../../config/config.ts";
import type { MeasuredTokens } from "../../evaluate/evaluate.ts";
import type { KeptFacts } from "../../pretrained/files/pretrained-files.ts";
import type { MemoryEstimate } from "../../runs/memory-estimate.ts";
import type { BaseWeights, BrokenOff, ResumedState, RunStore } from "../../runs/store.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { RunTeam } from "../../trainer/team.ts";
import type { PreparedDocuments } from "../prepare/prepare.ts";
import type { Teacher } from "../prepare/teachers.ts";

export interface RunInput {
  readonly backend: Backend;
  readonly config: RunConfig;
  /** Fields of the configuration that follow from the text, such as "train.steps". */
  readonly derived: readonly string[];
  readonly corpus: string;
  readonly tokenizer: Tokenizer;
  readonly trainTokens: Int32Array;
  readonly val: MeasuredTokens;
  /** The documents that the tokens belong to; absent if the tokens are one text. */
  readonly documents?: PreparedDocuments | undefined;
  /**
   * Facts about the model that checkpoints keep in addition to its shape: chat template, and tokens that end a text.
   */
  readonly facts?: KeptFacts | undefined;
  /** Prompt of the samples. */
  readonly prompt: string;
  /** Number of tokens of the sample at the end; 0 for no sample. */
  readonly finalSampleTokens: number;
  /** null if the run is not saved. */
  readonly store: RunStore | null;
  /** null if the run starts from the beginning. */
  readonly resume: ResumedState | null;
  /** The frozen weights of the base model in a run with adapters; else null. */
  readonly base: BaseWeights | null;
  /** The checkpoint whose weights the run started from; null if the weights were drawn at random. */
  readonly initFrom: string | null;
  /** The models that the run learns from. Default: none. */
  readonly teachers?: readonly Teacher[] | undefined;
  /** Estimate of the run's memory, for its `start` event. */
  readonly memory: MemoryEstimate;
  /** Number of bytes that the process can hold; null if unknown. */
  readonly availableMemory: number | null;
  /** Interrupted work that a resumed run does first. */
  readonly broken?: BrokenOff | undefined;
  /** Stops after this many updates, as an abort would. */
  readonly stopAt?: number | undefined;
  /** The machines that train the run: this machine alone, or several machines. Only rank 0 writes files. */
  readonly team: RunTeam;
  /** Whether to time the kernels, for a `profile` event. */
  readonly profile?: boolean | undefined;
}
