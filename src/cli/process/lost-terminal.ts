import { closeSync } from "node:fs";
import { isatty } from "node:tty";

const standard = [0, 1, 2] as const;

/**
 * Keeps the program's own exit status after its terminal was closed. At exit, Node restores the terminal's modes, and
 * aborts if the system refuses. Node skips closed descriptors, so this function closes the descriptors. Call it once,
 * at the start.
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
