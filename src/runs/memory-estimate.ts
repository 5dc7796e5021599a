/** Memory of a run, in bytes. */
export interface MemoryEstimate {
  /** The model's weights, including the weights of its adapters, and the weights of the models that it learns from. */
  readonly weights: number;
  /** One array of all gradients. If a step has several passes, also the arrays for partial sums. */
  readonly gradients: number;
  /**
   * The optimizer's moments, and other memory that lasts: the optimizer's scratch memory, position tables, and weights
   * rounded to bfloat16.
   */
  readonly moments: number;
  /**
   * Maximum temporary memory of steps, evaluations and samples: activations and their gradients, freed memory that the
   * backend keeps for the next step, and scratch memory of kernels.
   */
  readonly temporaries: number;
  /**
   * Tensors while they are written to a checkpoint, and the rollback state if onNonfinite is "rollback". 0 if the run
   * has neither.
   */
  readonly saving: number;
  /**
   * The arrays of a checkpoint, or the weights of a base model, until they are in the backend. 0 for other new runs.
   */
  readonly loading: number;
  /** Tokens of the text. */
  readonly text: number;
  /** Memory for reading the text, without its tokens: its bytes and its characters. */
  readonly reading: number;
  /** The program: Node with this library, compiled code and heap. 0 if unknown, as in a browser. */
  readonly program: number;
  /**
   * Peak memory: the program, the tokens, and the need of the largest phase. The phases are reading, loading, and
   * training with everything else.
   */
  readonly total: number;
}
