/** Where the texts of the inside are: in the address, or, too long for one, kept in this tab. */

export type TextKey = "text" | "corrupted";

const longestInAddress = 3000;

export const fitsAddress = (text: string): boolean => encodeURIComponent(text).length <= longestInAddress;

/** An address that names the text alone means a corrupted text that is the same: one kept from before is of another text. */
export const textIn = (query: URLSearchParams, key: TextKey, kept: (key: TextKey) => string | undefined): string => {
  const named = query.get(key);
  if (named !== null) return named;
  if (key === "corrupted" && query.has("text")) return "";
  return kept(key) ?? "";
};

/** A text without some characters. */
export const without = (text: string, characters: readonly string[]): string =>
  [...text].filter((one) => !characters.includes(one)).join("");

const textsToTry = ["The capital of France is", "The cat sat on the mat because it was tired.", "0123456789"] as const;

/**
 * A text for a model that has none of its own: the first that it can read whole, else what it can read of one.
 * @param unknownIn tells the characters of a text that the model never saw.
 */
export const textFor = async (unknownIn: (text: string) => Promise<readonly string[]>): Promise<string> => {
  let longest = "";
  for (const text of textsToTry) {
    const known = without(text, await unknownIn(text));
    if (known === text) return text;
    if (known.length > longest.length) longest = known;
  }
  return longest === "" ? textsToTry[0] : longest;
};

/** A corrupted text to try with the first of the texts to try; undefined for another text. */
export const corruptedExample = (text: string): string | undefined =>
  text.includes("France") ? text.replace("France", "Italy") : undefined;

/**
 * The corrupted text that patching shows: the reader's own, else the example, else the clean text.
 * @param fits whether the example has as many tokens as the clean text.
 */
export const corruptedFor = (text: string, own: string, fits: boolean): string =>
  own || (fits ? (corruptedExample(text) ?? text) : text);

/** The address that looks into a model on a text; without the text where that is too long for one. */
export const insideAddress = (model: string, text: string): string =>
  `/inside?${new URLSearchParams({ model, ...(fitsAddress(text) ? { text } : {}) })}`;
