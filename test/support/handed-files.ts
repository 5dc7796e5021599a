/** Files of checkpoints, as values that tests can compare. */
import { createHash } from "node:crypto";

/** The events of a run, without the fields that depend on the time, the folder and the process. */
export const notesOf = (files: Readonly<Record<string, Uint8Array>>): readonly Readonly<Record<string, unknown>>[] => {
  const lines = new TextDecoder().decode(files["metrics.jsonl"]).trimEnd().split("\n");
  return lines.map((line) => {
    const { tokensPerSecond, path, out, corpus, threads, memory, availableMemory, ...rest } = JSON.parse(line);
    return rest;
  });
};

/** SHA-256 of each file by its name, and the events without the fields that depend on the time. */
export const comparable = (files: Readonly<Record<string, Uint8Array>>): Readonly<Record<string, unknown>> => ({
  ...Object.fromEntries(
    Object.entries(files)
      .filter(([name]) => name !== "metrics.jsonl")
      .map(([name, bytes]) => [name, createHash("sha256").update(bytes).digest("hex")]),
  ),
  ...(files["metrics.jsonl"] === undefined ? {} : { "metrics.jsonl": notesOf(files) }),
});
