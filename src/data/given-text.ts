/** A text in memory, and an optional validation text. */
export interface GivenText {
  readonly text: string;
  readonly valText?: string | undefined;
}
