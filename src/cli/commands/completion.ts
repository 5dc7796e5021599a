import type { Command } from "commander";
import { bashCompletion } from "../completion/bash.ts";
import { fishCompletion } from "../completion/fish.ts";
import { collectWords, type VerbWords } from "../completion/words.ts";
import { zshCompletion } from "../completion/zsh.ts";
import { checkArguments, parseChoice } from "../flags/flags.ts";
import { notes } from "../help.ts";
import { writeOut } from "../process/output.ts";
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
  $ source <(npx foretoken completion bash)      bash, now
  $ npx foretoken completion bash >> ~/.bashrc   bash, for good
  $ source <(npx foretoken completion zsh)       zsh, now
  $ npx foretoken completion zsh >> ~/.zshrc     zsh, for good, after compinit
  $ npx foretoken completion fish | source       fish, now
  $ npx foretoken completion fish > foretoken.fish   fish, for good, in ~/.config/fish/completions
  $ foretoken() { npx foretoken "$@"; }          bash, zsh: the command, if it is not on the path
  $ alias foretoken "npx foretoken"              fish: the same

It completes the command foretoken, and nothing after npx. In a clone or a project, where npx finds it, one of the last two
lines makes that command.`;

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
