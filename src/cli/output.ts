/** Standard output and error of the program, safe against a reader that goes away (`| head`). */

let readerGone = false;
let whenGone: (() => void) | undefined;

/** What to do when nobody reads standard output any more; by default the program ends at once, quietly. */
export const onReaderGone = (action: () => void): void => {
  whenGone = action;
};

/** Call once, before anything is written. */
export const guardStandardStreams = (): void => {
  process.stdout.on("error", () => {
    if (readerGone) return;
    readerGone = true;
    if (whenGone === undefined) process.exit(0);
    whenGone();
  });
  process.stderr.on("error", () => {});
};

/** Writes to standard output; what nobody reads is dropped. */
export const writeOut = (text: string): void => {
  if (!readerGone) process.stdout.write(text);
};

/** A line of what a program reads: JSON on standard output. */
export const writeJson = (value: unknown): void => writeOut(`${JSON.stringify(value)}\n`);

/** A line for people that is not part of the result. */
export const writeNotice = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
