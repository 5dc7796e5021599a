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
  $ source <(npx foretoken completion bash)      bash, for this shell
  $ npx foretoken completion bash >> ~/.bashrc   bash, permanently
  $ source <(npx foretoken completion zsh)       zsh, for this shell
  $ npx foretoken completion zsh >> ~/.zshrc     zsh, permanently (after compinit)
  $ npx foretoken completion fish | source       fish, for this shell
  $ npx foretoken completion fish > foretoken.fish   fish, permanently (in ~/.config/fish/completions)
  $ foretoken() { npx foretoken "$@"; }          bash, zsh: defines the command foretoken
  $ alias foretoken "npx foretoken"              fish: defines the command foretoken

Completion works after the word foretoken, but not after npx. If the command foretoken is not on the path, as in a clone or
a project, define it with one of the last two lines.`;

/** `foretoken completion`. */
export const declareCompletion = (command: Command, verbs: Verbs): void => {
  command
    .usage("<shell>")
    .optionsGroup("Output: errors and help")
    .argument("<shell>", `${shells.slice(0, -1).join(", ")} or ${shells.at(-1)}`, parseChoice("shell", shells))
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (shell: Shell) => {
      checkArguments(command);
      writeOut(scripts[shell](await collectWords(verbs)));
    });
};
