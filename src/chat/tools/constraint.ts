/** The constraint on the text of an answer with tools. */
import type { Constraint } from "../../generate/constraint/constraint.ts";
import { nameFinder } from "../../tokenizer/names-in-text.ts";
import type { SpecialToken } from "../../tokenizer/tokenizer.ts";
import type { ToolForm } from "./form.ts";
import { idLength, parametersOf, type Tool } from "./tools.ts";

/** Requirements for the calls of an answer. */
export interface CallsAsked {
  /** Tools that may be called: one or more. */
  readonly tools: readonly Tool[];
  /** Whether the answer must consist of calls. */
  readonly required: boolean;
  /** Whether several calls are allowed. */
  readonly parallel: boolean;
  /** Constraint on an answer without calls. Default: any text. */
  readonly otherwise?: Constraint | undefined;
}

/** Where calls may begin in an answer. */
export type CallsBegin = "at once" | "at start" | "anywhere";

/** @param hasFormat whether answers without calls have a constraint. */
export const beginOfCalls = (form: ToolForm, required: boolean, hasFormat: boolean): CallsBegin =>
  required ? "at once" : form.atStart || hasFormat ? "at start" : "anywhere";

/** The part of `open` that follows its marker. */
export const behindMarker = ({ open, marker }: ToolForm): string => open.slice(open.indexOf(marker) + marker.length);

export const callsConstraint = (
  form: ToolForm,
  specialTokens: readonly SpecialToken[],
  { tools, required, parallel, otherwise }: CallsAsked,
): Constraint => {
  const find = nameFinder(specialTokens);
  const literal = (text: string): Constraint[] =>
    [...find(text)].map((stretch) =>
      stretch.id === undefined ? { kind: "choice", choices: [stretch.text] } : { kind: "token", name: stretch.text },
    );
  const callOf = (tool: Tool): Constraint => ({
    kind: "sequence",
    parts: form.parts.flatMap((part): Constraint[] => {
      switch (part.kind) {
        case "text":
          return literal(part.text);
        case "name":
          return [{ kind: "choice", choices: [tool.name] }];
        case "id":
          return [{ kind: "regex", pattern: `[a-zA-Z0-9]{${idLength}}` }];
        case "arguments":
          return [{ kind: "jsonSchema", schema: parametersOf(tool) }];
        default:
          return part satisfies never;
      }
    }),
  });
  const call: Constraint = { kind: "either", options: tools.map(callOf) };
  const { between } = form;
  const more: Constraint[] =
    parallel && between !== null
      ? [{ kind: "repeat", part: { kind: "sequence", parts: [...literal(between), call] } }]
      : [];
  const calls = (open: string): Constraint => ({
    kind: "sequence",
    parts: [...literal(open), call, ...more, ...literal(form.close)],
  });
  if (required) return calls(form.open);
  if (otherwise !== undefined) return { kind: "either", options: [calls(form.open.trimStart()), otherwise] };
  return { kind: "trigger", marker: form.marker, atStart: form.atStart, rest: calls(behindMarker(form)) };
};
