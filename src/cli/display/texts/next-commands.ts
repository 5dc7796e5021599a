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

/** The studio on a folder of runs. The one in which it looks by itself needs no name. */
export const studioCommand = (folder: string): NextCommand => ({
  command: commandLine(["studio", ...(folder === runsFolder ? [] : [folder])]),
  purpose: "all of it on a page: curves, and a model that writes",
});

/** The commands, each with its purpose: in one line where that fits. Empty if there are none. */
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
