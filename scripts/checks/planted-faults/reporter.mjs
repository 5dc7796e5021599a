// A reporter for vitest. The reporter appends lines of JSON to $FORETOKEN_FAULT_EVENTS. There is a line for each file
// that begins or ends, and for each test that ends. So judge.mjs sees failures and hangs immediately.
import { appendFileSync } from "node:fs";

const tell = (event) => appendFileSync(process.env.FORETOKEN_FAULT_EVENTS ?? "", `${JSON.stringify(event)}\n`);
const fileOf = (module) => module.relativeModuleId;
const textOf = (errors) => String(errors[0]?.message ?? "").split("\n")[0];

/** vitest constructs the reporter from the default export. */
// biome-ignore lint/style/noDefaultExport: the form of a reporter
export default class {
  onTestModuleStart(module) {
    tell({ event: "begin", file: fileOf(module) });
  }
  onTestCaseResult(test) {
    const { state, errors = [] } = test.result();
    tell({ event: "test", file: fileOf(test.module), name: test.fullName, state, error: textOf(errors) });
  }
  onTestModuleEnd(module) {
    const errors = module.errors();
    tell({
      event: "end",
      file: fileOf(module),
      state: module.state(),
      error: textOf(errors),
      broken: errors.length > 0,
    });
  }
  onTestRunEnd(_modules, errors, reason) {
    tell({ event: "over", reason, error: textOf(errors) });
  }
}
