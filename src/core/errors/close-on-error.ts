/**
 * Calls `make`, which makes something from resources that must be closed.
 * @param close closes the resources; called only if `make` throws.
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
