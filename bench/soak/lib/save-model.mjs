// Loads a model and saves it: `node save-model.mjs FROM TO`. The exit status is 0 or, with one line as in the program,
// 2.
import { ForetokenError, loadPretrained, savePretrained } from "../../../dist/index.js";

const [from, to] = process.argv.slice(2);
try {
  const lm = await loadPretrained(from, { backend: "reference" });
  await savePretrained(to, lm);
  await lm.close();
} catch (error) {
  console.error(`foretoken: ${error instanceof ForetokenError ? error.message : `a bug: ${error?.stack}`}`);
  process.exitCode = error instanceof ForetokenError ? 2 : 1;
}
