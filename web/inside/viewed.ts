/** What a view of the inside looks at. */
import type { TokensAnswer } from "../../src/serve/studio/inside/protocol.ts";

export interface Viewed {
  /** Its key in the list of models. */
  readonly model: string;
  readonly text: string;
  /** The text's tokens, and the model's shape. */
  readonly all: TokensAnswer;
}
