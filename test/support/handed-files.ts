/** Files of checkpoints, in a form to compare. */
import { createHash } from "node:crypto";

/** A run's notes without the fields of the clock, the place and the process. */
export const notesOf = (files: Readonly<Record<string, Uint8Array>>): readonly Readonly<Record<string, unknown>>[] => {
  const lines = new TextDecoder().decode(files["metrics.jsonl"]).trimEnd().split("\n");
  return lines.map((line) => {
    const { tokensPerSecond, path, out, corpus, threads, memory, availableMemory, ...rest } = JSON.parse(line);
    return rest;
  });
};

/** SHA-256 of the files by their names, and the notes without the clock. */
export const comparable = (files: Readonly<Record<string, Uint8Array>>): Readonly<Record<string, unknown>> => ({
  ...Object.fromEntries(
    Object.entries(files)
      .filter(([name]) => name !== "metrics.jsonl")
      .map(([name, bytes]) => [name, createHash("sha256").update(bytes).digest("hex")]),
  ),
  ...(files["metrics.jsonl"] === undefined ? {} : { "metrics.jsonl": notesOf(files) }),
});
