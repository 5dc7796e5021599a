/** What part 6 has written. The text is kept while the reader looks at another part. */
import { signal } from "@preact/signals";

export const prompt = signal("");
/** Characters that were drawn and appended. */
export const written = signal<readonly string[]>([]);
export const sampling = signal<{ readonly temperature: number; readonly topK: number }>({ temperature: 0.8, topK: 40 });
