import type { Backend } from "../../backend/backend.ts";

/** A way in which a backend computes. */
export interface Form {
  /** Description, such as "bfloat16". */
  readonly words: string;
  /** Opens the backend; the caller closes it. */
  open(threads: number): Promise<Backend>;
}

/** Opens a backend, uses it and closes it. */
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
