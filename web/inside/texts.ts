/**
 * Storage of the inside view's texts. A text is in the address. A text that is too long for an address is stored in
 * this tab.
 */

export type TextKey = "text" | "corrupted";

const longestInAddress = 3000;

export const fitsAddress = (text: string): boolean => encodeURIComponent(text).length <= longestInAddress;

/**
 * Text from the address, or the text stored in the tab. If the address has only the clean text, the stored corrupted
 * text is not used, because it belongs to another text.
 */
export const textIn = (query: URLSearchParams, key: TextKey, kept: (key: TextKey) => string | undefined): string => {
  const named = query.get(key);
  if (named !== null) return named;
  if (key === "corrupted" && query.has("text")) return "";
  return kept(key) ?? "";
};

/** Removes characters from a text. */
export const without = (text: string, characters: readonly string[]): string =>
  [...text].filter((one) => !characters.includes(one)).join("");

const textsToTry = ["The capital of France is", "The cat sat on the mat because it was tired.", "0123456789"] as const;

/**
 * Text that the field shows while the page chooses the first text. A run has a sample of its own, so the field stays
 * empty for a run.
 */
export const textBefore = (model: string): string => (/^(?:runs\/|$)/u.test(model) ? "" : textsToTry[0]);

/**
 * Text for a model without a sample: the first example that the model can read completely. If there is no such example,
 * an example without the unknown characters.
 * @param unknownIn returns the characters of a text that the model never saw.
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

/** Address that opens the inside view with a model and a text. A text that is too long for an address is left out. */
export const insideAddress = (model: string, text: string): string =>
  `/inside?${new URLSearchParams({ model, ...(fitsAddress(text) ? { text } : {}) })}`;
