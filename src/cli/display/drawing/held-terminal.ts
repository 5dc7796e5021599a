import type { WriteStream } from "node:tty";
import { host } from "../../process/host.ts";
import { writeOut } from "../../process/output.ts";

const hideCursor = "\u001b[?25l";
const showCursor = "\u001b[?25h";

/** Callbacks for changes of the terminal. */
export interface TerminalChanges {
  /** The terminal's size has changed. Lines of the old width may have wrapped. */
  resized(): void;
  /** The shell resumed the suspended program. Other text may be below the display. */
  resumed(): void;
}

/**
 * Hides the terminal's cursor while a display is redrawn there. The cursor is shown while the program is suspended and
 * when the program ends.
 * @returns a function that restores the terminal. Call this function once.
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
