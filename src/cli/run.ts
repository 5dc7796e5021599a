/** Runs the program in this process; loaded by main.ts. */
import { reportFailure } from "./failure.ts";
import { surviveLostTerminal } from "./process/lost-terminal.ts";
import { enterHost } from "./process/output.ts";

/** Commands that compute in a worker thread, with the thread's name in `workerEntries`. */
const threads: Readonly<Record<string, "model" | "train">> = {
  train: "train",
  generate: "model",
  chat: "model",
  evaluate: "model",
};

const args = process.argv.slice(2);
enterHost(process);
surviveLostTerminal();
// Errors outside the command's own flow, such as in a timer, are reported in the same way.
process.on("uncaughtException", (error) => process.exit(reportFailure(error, args.includes("--verbose"))));
const [verb = ""] = args;
const thread = Object.hasOwn(threads, verb) ? threads[verb] : undefined;
// Start the thread before loading the command's modules, because both can load at the same time.
if (thread !== undefined && !["--help", "-h", "--help-all"].some((flag) => args.includes(flag))) {
  (await import("./start-thread.ts")).startThread(thread);
}
const { runProgram } = await import("./program.ts");
// Do not call process.exit, which would lose output that is still being written to a pipe.
process.exitCode = await runProgram(args);
