/** State of the form for a new run. It survives a reload. */
import { computed, signal } from "@preact/signals";
import type { NewRunRequest, TextSource } from "../../src/serve/studio/protocol.ts";
import { fields } from "../server/facts.ts";
import { keep, readKept } from "../shell/kept.ts";
import { looksLikeDocuments } from "./conversations.ts";

export type SourceKind = TextSource["kind"];

export interface Draft {
  readonly kind: SourceKind;
  readonly corpus: string;
  readonly file: string;
  /** Name of the given text. */
  readonly textName: string;
  /** Chosen recipe. If it is empty, the sizes are chosen from the text. */
  readonly preset: string;
  readonly name: string;
  readonly initFrom: string;
  /** Number of checkpoints to keep, as typed. If it is empty, only the last checkpoint is kept. */
  readonly keepLast: string;
  /** Changed fields, as typed. */
  readonly values: Readonly<Record<string, string>>;
}

const empty: Draft = {
  kind: "given",
  corpus: "",
  file: "",
  textName: "",
  preset: "",
  name: "",
  initFrom: "",
  keepLast: "",
  values: {},
};

export const draft = signal<Draft>({ ...empty, ...readKept<Draft>("draft") });
/** The text is stored separately, because it may be too long for the browser's storage. */
export const givenText = signal(readKept<string>("draft.text") ?? "");

export const change = (changes: Partial<Draft>): void => {
  draft.value = { ...draft.value, ...changes };
  keep("draft", draft.value);
};

export const changeText = (text: string): void => {
  givenText.value = text;
  keep("draft.text", text);
};

export const setValue = (path: string, value: string): void => {
  const { [path]: _, ...others } = draft.value.values;
  change({ values: value === "" ? others : { ...others, [path]: value } });
};

/**
 * Converts a typed value for the configuration. An invalid number stays text, so that the server explains the error.
 */
const parsed = (type: string, text: string): unknown => {
  if (type === "number") return Number.isFinite(Number(text)) ? Number(text) : text;
  if (type === "boolean") return text === "true";
  if (type === "words") return text.split(/[\s,]+/).filter(Boolean);
  return text;
};

const configOf = (values: Draft["values"]): Record<string, unknown> => {
  const types = new Map(fields.value.value?.map(({ path, type }) => [path, type]));
  const config: Record<string, unknown> = {};
  for (const [path, text] of Object.entries(values)) {
    const keys = path.split(".");
    let node = config;
    for (const key of keys.slice(0, -1)) {
      const below = (node[key] ?? {}) as Record<string, unknown>;
      node[key] = below;
      node = below;
    }
    node[keys.at(-1) ?? path] = parsed(types.get(path) ?? "string", text);
  }
  return config;
};

/** Whether the given text is sent as documents, because its lines are JSON. A name says what a file is. */
export const isPastedDocuments = computed(
  () => draft.value.textName.trim() === "" && looksLikeDocuments(givenText.value),
);

const pastedName = (): string => (isPastedDocuments.value ? "pasted.jsonl" : "pasted.txt");

const sourceOf = ({ kind, corpus, file, textName }: Draft): TextSource | undefined => {
  if (kind === "corpus") return corpus === "" ? undefined : { kind, name: corpus };
  if (kind === "file") return file === "" ? undefined : { kind, path: file };
  return givenText.value === "" ? undefined : { kind, name: textName.trim() || pastedName(), text: givenText.value };
};

/** Request that the form describes. Undefined while the form has no text. */
export const request = computed((): NewRunRequest | undefined => {
  const { preset, name, initFrom, keepLast, values } = draft.value;
  const text = sourceOf(draft.value);
  if (text === undefined) return undefined;
  const config = configOf(values);
  return {
    text,
    ...(preset === "" ? {} : { preset }),
    ...(Object.keys(config).length === 0 ? {} : { config }),
    ...(name.trim() === "" ? {} : { name: name.trim() }),
    ...(initFrom === "" ? {} : { initFrom }),
    // An invalid number is sent as typed, so that the server explains the error.
    ...(keepLast === "" ? {} : { keepLast: parsed("number", keepLast) as number }),
  };
});

/** Clears the name after a run has started. The next run begins with the same text and settings. */
export const afterStart = (): void => change({ name: "" });
