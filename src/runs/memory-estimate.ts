/** Memory of a run, in bytes. */
export interface MemoryEstimate {
  /** The model's weights, including the weights of its adapters, and the weights of the models that it learns from. */
  readonly weights: number;
  /** One array of all gradients. If a step has several passes, also the arrays for partial sums. */
  readonly gradients: number;
  /**
   * The optimizer's moments and other permanent memory: the optimizer's scratch memory, position tables, and weights
   * rounded to bfloat16.
   */
  readonly moments: number;
  /**
   * Copies of the weights for `train.average`: one for `ema`, `count` for `last-k`. 0 without it.
   */
  readonly averages: number;
  /**
   * Maximum temporary memory of steps, evaluations and samples: activations and their gradients, freed memory that the
   * backend keeps for the next step, and scratch memory of kernels.
   */
  readonly temporaries: number;
  /**
   * Tensors during a write to a checkpoint, and the rollback state if onNonfinite is "rollback". 0 if the run does not
   * save and does not keep a rollback state.
   */
  readonly saving: number;
  /** The arrays of a checkpoint, or the weights of a base model, until the backend has them. 0 for other new runs. */
  readonly loading: number;
  /** Memory of the text's tokens. */
  readonly text: number;
  /** Memory for reading the text: its bytes and its characters. The memory of the tokens is not included. */
  readonly reading: number;
  /** Memory of the program: Node with this library, compiled code and heap. 0 if unknown, as in a browser. */
  readonly program: number;
  /**
   * Peak memory: the program, the tokens, and the memory of the largest phase. The phases are reading, loading and
   * training.
   */
  readonly total: number;
}
