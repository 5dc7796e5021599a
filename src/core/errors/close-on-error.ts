/**
 * Makes something on top of things that must be closed.
 * @param close closes them; called when `make` throws, not otherwise.
 * @returns the result of `make`.
 */
export const closeOnError = <T>(close: () => void, make: () => T): T => {
  try {
    return make();
  } catch (error) {
    close();
    throw error;
  }
};
