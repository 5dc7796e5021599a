/** Values that survive a reload of this tab: drafts, and texts that are too long for an address. */

export const readKept = <T>(key: string): T | undefined => {
  try {
    const text = sessionStorage.getItem(`foretoken.${key}`);
    return text === null ? undefined : (JSON.parse(text) as T);
  } catch {
    return undefined;
  }
};

/** Stores a value, unless it is too large for the browser's storage. @returns whether the value is stored. */
export const keepIfItFits = (key: string, value: unknown): boolean => {
  try {
    sessionStorage.setItem(`foretoken.${key}`, JSON.stringify(value));
    return true;
  } catch {
    sessionStorage.removeItem(`foretoken.${key}`);
    return false;
  }
};

/** Stores a value. A loss of the value does no harm. */
export const keep = (key: string, value: unknown): void => {
  keepIfItFits(key, value);
};
