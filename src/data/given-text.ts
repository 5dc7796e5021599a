/** A text that is in memory, and perhaps one to validate on. */
export interface GivenText {
  readonly text: string;
  readonly valText?: string | undefined;
}
