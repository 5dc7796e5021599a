import type { Command } from "commander";
import { bashCompletion } from "../completion/bash.ts";
import { fishCompletion } from "../completion/fish.ts";
import { collectWords, type VerbWords } from "../completion/words.ts";
import { zshCompletion } from "../completion/zsh.ts";
import { checkArguments, parseChoice } from "../flags.ts";
import { notes } from "../help.ts";
import { writeOut } from "../output.ts";
import type { Verbs } from "../verb.ts";

const scripts = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
} as const satisfies Record<string, (verbs: readonly VerbWords[]) => string>;
type Shell = keyof typeof scripts;
const shells = Object.keys(scripts) as readonly Shell[];

const examples = `
Examples:
  $ source <(foretoken completion bash)            now; for good, put the line into ~/.bashrc
  $ source <(foretoken completion zsh)             now; for good, put it into ~/.zshrc after compinit
  $ foretoken completion fish | source             now
  $ foretoken completion fish > foretoken.fish     for good, in ~/.config/fish/completions

It completes the word foretoken, which is on the path where the package is installed with npm install --global.`;

/** `foretoken completion`. */
export const declareCompletion = (command: Command, verbs: Verbs): void => {
  command
    .usage("<shell>")
    .optionsGroup("Output: of errors and of help")
    .argument("<shell>", `${shells.slice(0, -1).join(", ")} or ${shells.at(-1)}`, parseChoice("shell", shells))
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (shell: Shell) => {
      checkArguments(command);
      writeOut(scripts[shell](await collectWords(verbs)));
    });
};
