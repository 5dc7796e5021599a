/** Maps commands of other programs to the corresponding commands of foretoken. */
import { plainName } from "./flags-of-others.ts";
import { ownValue } from "./values-of-others.ts";

export type CommandLead =
  /** Words of the corresponding command. The user's arguments are added after these words. */
  | { readonly words: readonly string[] }
  /** The reason why foretoken has no such command. */
  | { readonly absent: string; readonly hint: string };

type CommandLeads = Readonly<Record<string, CommandLead>>;

const named = (names: string, lead: CommandLead): CommandLeads =>
  Object.fromEntries(names.split(" ").map((name) => [name, lead]));
const to = (names: string, ...words: readonly string[]): CommandLeads => named(names, { words });
const isNot = (names: string, absent: string, hint: string): CommandLeads => named(names, { absent, hint });

const leads: CommandLeads = {
  ...to("sample run predict infer inference complete write cli main", "generate"),
  ...to("interact interactive repl", "generate", "--interactive"),
  ...to("talk ask converse conversation dialog", "chat"),
  ...to("eval test perplexity ppl validate measure", "evaluate"),
  ...to("fit learn pretrain training start", "train"),
  ...to("resume continue", "train", "--resume"),
  ...to("finetune ft tune", "train", "--init-from"),
  ...to("mergelora mergeadapter mergeandunload fuse unload", "merge"),
  ...to("quantise quant gguf togguf", "quantize"),
  ...to("list ls history status experiments", "runs"),
  ...to("graph chart curve curves visualize visualise draw", "plot"),
  ...to("web webui ui gui page browser open dashboard playground watch tensorboard wandb", "studio"),
  ...to("server api openai endpoint", "serve"),
  ...to("tutorial course teach explain demo", "lesson"),
  ...to("env system devices device about", "info"),
  ...to("check checkup health diagnose diagnostics selftest verify fsck", "doctor"),
  ...to("bench benchmark profile", "train", "--profile"),
  ...to("convert save pack converthftogguf converttogguf convertloratogguf", "export"),
  ...to("diff check parity", "verify"),
  ...to("grid gridsearch hpo hparams hyperparameters optuna", "sweep"),
  ...to("significance ttest abtest versus vs", "compare"),
  ...isNot(
    "import load",
    "no import is needed: commands read a Hugging Face directory, a GGUF file or hf:org/name directly",
    "npx foretoken info MODEL",
  ),
  ...isNot(
    "tokenize tokenise encode",
    "the command tokenizer inspect shows the tokens of a text",
    "npx foretoken tokenizer inspect MODEL",
  ),
  ...isNot(
    "decode detokenize detokenise",
    "no command turns tokens into text; in the library, use decode of a model's tokenizer",
    "npx foretoken tokenizer inspect MODEL",
  ),
  ...isNot(
    "download pull fetch models",
    "commands download a model when they are given hf:org/name",
    "npx foretoken info hf:HuggingFaceTB/SmolLM2-135M-Instruct",
  ),
  ...isNot(
    "push upload publish deploy",
    "foretoken uploads nothing; best/ in a run's folder is a Hugging Face directory",
    "npx foretoken runs",
  ),
  ...isNot("prepare preprocess", "a text needs no preparation", "npx foretoken train --data FILE"),
};

/** The command that corresponds to `name` of another program. Undefined if the name is unknown. */
export const commandLeadOf = (name: string): CommandLead | undefined => ownValue(leads, plainName(name));
