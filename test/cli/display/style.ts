import pc from "picocolors";
import { symbolsFor } from "#foretoken/cli/process/terminal.js";

/** How a terminal shows things. */
export const style = (unicode: boolean, colored = false) => ({
  symbols: symbolsFor(unicode),
  colors: pc.createColors(colored),
});
