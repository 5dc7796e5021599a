import type { WriteStream } from "node:tty";
import { host } from "../../process/host.ts";
import { writeOut } from "../../process/output.ts";

const hideCursor = "\u001b[?25l";
const showCursor = "\u001b[?25h";

/** What a live display does when its terminal changes. */
export interface TerminalChanges {
  /** The terminal has another size: it has broken the lines of the old width. */
  resized(): void;
  /** The program goes on after the shell had suspended it: other text may stand below the display. */
  resumed(): void;
}

/**
 * Hides the cursor of the terminal while a display is redrawn there. It is shown while the program is suspended, and in any
 * case when it ends.
 * @returns gives the terminal back; to be called once.
 */
export const holdTerminal = (stdout: WriteStream, { resized, resumed }: TerminalChanges): (() => void) => {
  const restore = (): void => writeOut(showCursor);
  const suspend = (): void => {
    restore();
    process.kill(process.pid, "SIGSTOP");
  };
  const resume = (): void => {
    writeOut(hideCursor);
    resumed();
  };
  stdout.on("resize", resized);
  host.on("exit", restore);
  if (process.platform !== "win32") {
    host.on("SIGTSTP", suspend);
    host.on("SIGCONT", resume);
  }
  writeOut(hideCursor);
  return () => {
    stdout.off("resize", resized);
    host.off("exit", restore);
    host.off("SIGTSTP", suspend);
    host.off("SIGCONT", resume);
    restore();
  };
};
