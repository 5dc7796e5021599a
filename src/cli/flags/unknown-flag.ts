import { type Command, Option } from "commander";
import { unknownChoices } from "../../tokenizer/unknown.ts";
import { parseChoice } from "./flags.ts";

/** Adds the flag for characters of `text` that the model does not know. */
export const addUnknownFlag = (command: Command, text: string): Command =>
  command.addOption(
    new Option(
      "--unknown <error|skip>",
      `action for characters of the ${text} that are not in the model's vocabulary. error: refuse the text; skip: leave out these characters and list them`,
    )
      .default("error")
      .argParser(parseChoice("--unknown", unknownChoices)),
  );
