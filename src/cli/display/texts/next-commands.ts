import { commandLine } from "../../../core/text/shell-word.ts";
import { runsFolder } from "../../../runs/folder-names.ts";
import type { Style } from "../../process/terminal.ts";
import { wrapCommand } from "./shell.ts";
import { columns, wrapText } from "./width.ts";

/** A command to try next. */
export interface NextCommand {
  readonly command: string;
  readonly purpose: string;
}

/** The command that opens the studio on a folder of runs. The name of the default folder is left out. */
export const studioCommand = (folder: string): NextCommand => ({
  command: commandLine(["studio", ...(folder === runsFolder ? [] : [folder])]),
  purpose: "a page with curves, where you can write with the model",
});

/**
 * Lines with the commands and their purposes. A command and its purpose are on one line if the line is wide enough.
 * Without commands, there are no lines.
 */
export const nextLines = (next: readonly NextCommand[], width: number, { colors }: Style): readonly string[] =>
  next.length === 0
    ? []
    : [
        "",
        "Next:",
        ...next.flatMap(({ command, purpose }) => {
          if (columns(command) + columns(purpose) + 6 <= width)
            return [`  ${colors.cyan(command)}  ${colors.dim(`# ${purpose}`)}`];
          return [
            ...wrapText(purpose, width - 4).map((line) => `  ${colors.dim(`# ${line}`)}`),
            ...wrapCommand(command, width - 2).map((line) => `  ${colors.cyan(line)}`),
          ];
        }),
      ];
