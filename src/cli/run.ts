/** The program as a process: main.ts loads it. */
import { reportFailure } from "./failure.ts";
import { surviveLostTerminal } from "./process/lost-terminal.ts";
import { enterHost } from "./process/output.ts";

/** Verbs that compute in a thread, by its name in `workerEntries`. */
const threads: Readonly<Record<string, "model" | "train">> = {
  train: "train",
  generate: "model",
  chat: "model",
  evaluate: "model",
};

const args = process.argv.slice(2);
enterHost(process);
surviveLostTerminal();
// A bug outside of the command's own flow, such as in a timer, is shown in the same words.
process.on("uncaughtException", (error) => process.exit(reportFailure(error, args.includes("--verbose"))));
const [verb = ""] = args;
const thread = Object.hasOwn(threads, verb) ? threads[verb] : undefined;
// Before the program's modules, and those of the verb: so both threads load at the same time.
if (thread !== undefined && !["--help", "-h", "--help-all"].some((flag) => args.includes(flag))) {
  (await import("./start-thread.ts")).startThread(thread);
}
const { runProgram } = await import("./program.ts");
// Not process.exit: output on its way to a pipe would be lost.
process.exitCode = await runProgram(args);
