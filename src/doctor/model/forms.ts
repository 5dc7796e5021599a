import type { Backend } from "../../backend/backend.ts";

/** A backend as a check opens it. */
export interface Form {
  /** What it computes with, as "bfloat16". */
  readonly words: string;
  /** Opens it; the check closes it. */
  open(threads: number): Promise<Backend>;
}

/** Opens one, uses it and closes it. */
export const withBackend = async <T>(
  form: Form,
  threads: number,
  use: (backend: Backend) => Promise<T>,
): Promise<T> => {
  const backend = await form.open(threads);
  try {
    return await use(backend);
  } finally {
    await backend.close();
  }
};
