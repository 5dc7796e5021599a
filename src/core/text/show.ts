/** Maximum number of characters of a value that an error line shows. */
const longest = 80;

/** The beginning of a text that is too long for an error line. */
export const shorten = (text: string): string => (text.length > longest ? `${text.slice(0, longest)}…` : text);

const tag = (value: unknown): string => {
  try {
    return Array.isArray(value) ? "a list" : "an object";
  } catch {
    // Reading a revoked proxy throws an error.
    return "an object";
  }
};

const showItem = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      // The text is cut first, because it may have millions of characters.
      return value.length > longest ? `${JSON.stringify(value.slice(0, longest))}…` : JSON.stringify(value);
    case "undefined":
      return "nothing";
    case "function":
      return "a function";
    case "bigint":
    case "symbol":
      return shorten(`${typeof value} ${String(value)}`);
    case "object":
      return value === null ? "null" : tag(value);
    default:
      return String(value);
  }
};

/**
 * Formats any value for an error line. The result is short for any size, depth or kind of value. The contents of
 * objects are not read.
 */
export const show = (value: unknown): string => {
  if (tag(value) !== "a list" || !Array.isArray(value)) return showItem(value);
  const items = value.slice(0, 8).map((item) => (tag(item) === "a list" ? "[…]" : showItem(item)));
  return shorten(`[${items.join(", ")}${value.length > 8 ? ", …" : ""}]`);
};

/**
 * Formats a word without quotation marks, and any other value like `show`. Use this function for options that allow
 * only a few words.
 */
export const showWord = (value: unknown): string => (typeof value === "string" ? shorten(value) : show(value));
