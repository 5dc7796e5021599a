/** Data that the inside view passes to each tab. */
import type { TokensAnswer } from "../../src/serve/studio/inside/protocol.ts";

export interface Viewed {
  /** Key of the model in the list of models. */
  readonly model: string;
  readonly text: string;
  /** The user's text. In patching, `text` may be an example in place of it. */
  readonly given: string;
  /** Tokens of the text, and the shape of the model. */
  readonly all: TokensAnswer;
  /** Proposed corrupted text. Null if there is none; undefined while the page looks for one. */
  readonly example: string | null | undefined;
}
