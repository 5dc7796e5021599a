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

export interface RunInput {
  readonly backend: Backend;
  readonly config: RunConfig;
  /** Fields of it that follow from the text, as "train.steps". */
  readonly derived: readonly string[];
  readonly corpus: string;
  readonly tokenizer: Tokenizer;
  readonly trainTokens: Int32Array;
  readonly val: MeasuredTokens;
  /** The documents that the tokens are; absent: they are one text. */
  readonly documents?: PreparedDocuments | undefined;
  /** What checkpoints say of the model besides its shape: its chat template, and tokens that end a text. */
  readonly facts?: KeptFacts | undefined;
  /** Prompt of the samples. */
  readonly prompt: string;
  /** Tokens of the sample at the end; 0: none. */
  readonly finalSampleTokens: number;
  /** null: the run is not kept. */
  readonly store: RunStore | null;
  /** null: the run starts from the beginning. */
  readonly resume: ResumedState | null;
  /** The weights that stay as they are, of a run with adapters; else null. */
  readonly base: BaseWeights | null;
  /** The checkpoint whose weights the run began with; null if it drew its own. */
  readonly initFrom: string | null;
  /** The run's memory, for its first event. */
  readonly memory: MemoryEstimate;
  /** Bytes that the process can hold; null if unknown. */
  readonly availableMemory: number | null;
  /** Interrupted work of a resumed run, which it does first. */
  readonly broken?: BrokenOff | undefined;
  /** Stop after this many updates, as an interruption would. */
  readonly stopAt?: number | undefined;
  /** The machines that train the run: this one alone, or several, of which rank 0 writes. */
  readonly team: RunTeam;
  /** Whether the kernels are timed, for a `profile` event. */
  readonly profile?: boolean | undefined;
}
