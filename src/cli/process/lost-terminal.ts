import { closeSync } from "node:fs";
import { isatty } from "node:tty";

const standard = [0, 1, 2] as const;

/**
 * Lets the program end with its own status after its terminal was closed. At exit, Node restores the terminal's modes,
 * and aborts if the system refuses. Node skips descriptors that are already closed, so they are closed here. Call this
 * function once, at the start.
 */
export const surviveLostTerminal = (): void => {
  const terminals = standard.filter((descriptor) => isatty(descriptor));
  process.on("exit", () => {
    for (const descriptor of terminals) {
      if (isatty(descriptor)) continue;
      try {
        closeSync(descriptor);
      } catch {
        // Closed already.
      }
    }
  });
};
