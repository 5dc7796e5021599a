/**
 * Makes something that comes after what must be closed.
 * @param close gives back what was made before; called when `make` throws, not otherwise.
 * @returns what `make` returns.
 */
export const closeOnError = <T>(close: () => void, make: () => T): T => {
  try {
    return make();
  } catch (error) {
    close();
    throw error;
  }
};
