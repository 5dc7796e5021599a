import { type Command, Option } from "commander";
import { unknownChoices } from "../../tokenizer/unknown.ts";
import { parseChoice } from "./flags.ts";

/** The flag for characters of `text` that the model never saw. */
export const addUnknownFlag = (command: Command, text: string): Command =>
  command.addOption(
    new Option(
      "--unknown <error|skip>",
      `characters of the ${text} that the model never saw: error refuses it, skip leaves them out and says which`,
    )
      .default("error")
      .argParser(parseChoice("--unknown", unknownChoices)),
  );
