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

/** The address that looks into a model on a text; without the text where that is too long for one. */
export const insideAddress = (model: string, text: string): string =>
  `/inside?${new URLSearchParams({ model, ...(fitsAddress(text) ? { text } : {}) })}`;
