import pc from "picocolors";
import { symbolsFor } from "#foretoken/cli/process/terminal.js";

/** The capabilities of a terminal. */
export const style = (unicode: boolean, colored = false) => ({
  symbols: symbolsFor(unicode),
  colors: pc.createColors(colored),
});
