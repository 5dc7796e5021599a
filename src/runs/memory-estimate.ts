/** Memory of a run, in bytes. */
export interface MemoryEstimate {
  /** The model's weights, and those of its adapters. */
  readonly weights: number;
  /** An array of all gradients and, if a step has several passes, the arrays for partial sums. */
  readonly gradients: number;
  /**
   * The optimizer's moments, and other lasting memory: its scratch, tables of positions, weights rounded to bfloat16.
   */
  readonly moments: number;
  /**
   * The most that steps, evaluations and samples hold besides: activations and their gradients, freed memory that the
   * backend keeps for the next step, and scratch memory of kernels.
   */
  readonly temporaries: number;
  /** Tensors on their way to a checkpoint, and the rollback state with onNonfinite "rollback"; 0 without both. */
  readonly saving: number;
  /** A checkpoint's arrays, and the weights that adapters are beside, until the backend has them; 0 for another new run. */
  readonly loading: number;
  /** Tokens of the text. */
  readonly text: number;
  /** Memory for reading the text, besides its tokens: its bytes and its characters. */
  readonly reading: number;
  /** The program: Node with this library, its compiled code and its heap. 0 if unknown, as in a browser. */
  readonly program: number;
  /**
   * The most at one time: the program and the tokens, and with them either reading, or loading, or training with all
   * the rest.
   */
  readonly total: number;
}
