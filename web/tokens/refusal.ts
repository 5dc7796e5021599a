/**
 * Says why a model could not read a text. The page has no option to skip unknown characters, so the message does not
 * mention this option.
 */
import type { Failure } from "../../src/serve/studio/protocol.ts";
import { visible } from "./surprise.ts";

/** Maximum number of characters that a message names. */
const mostNamed = 20;

/** @param text name of the text, for example "prompt". */
export const refusalWords = ({ error, characters = [] }: Failure, text: string): string => {
  if (characters.length === 0) return error;
  const named = characters.slice(0, mostNamed).map((one) => `“${visible(one)}”`);
  const others = characters.length > mostNamed ? " and others" : "";
  return characters.length === 1
    ? `The model never saw this character of the ${text}: ${named[0]}. Leave it out.`
    : `The model never saw these characters of the ${text}: ${named.join(" ")}${others}. Leave them out.`;
};
