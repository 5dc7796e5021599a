/** A text in memory, with an optional validation text. */
export interface GivenText {
  readonly text: string;
  readonly valText?: string | undefined;
}
