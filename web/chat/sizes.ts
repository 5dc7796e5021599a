/** Sizes of chat models. The server sends a size with each answer. */
import { signal } from "@preact/signals";
import { keep, readKept } from "../shell/kept.ts";

const sizes = signal<Readonly<Record<string, number>>>(readKept("chat.sizes") ?? {});

export const noteSize = (model: string, parameters: number): void => {
  if (sizes.peek()[model] === parameters) return;
  sizes.value = { ...sizes.peek(), [model]: parameters };
  keep("chat.sizes", sizes.value);
};

/** Number of a model's parameters. Undefined until the model has answered. */
export const sizeOf = (model: string): number | undefined => sizes.value[model];
