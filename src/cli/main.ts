#!/usr/bin/env node
import { reportFailure } from "./failure.ts";
import { surviveLostTerminal } from "./process/lost-terminal.ts";
import { enterHost } from "./process/output.ts";
import { runProgram } from "./program.ts";

const args = process.argv.slice(2);
enterHost(process);
surviveLostTerminal();
// A bug outside of the command's own flow, such as in a timer, is shown in the same words.
process.on("uncaughtException", (error) => process.exit(reportFailure(error, args.includes("--verbose"))));
// Not process.exit: output on its way to a pipe would be lost.
process.exitCode = await runProgram(args);
