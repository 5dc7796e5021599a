/** One answer of a model that has tools: the constraint on the answer's text, and the reader of this text. */
import { ConfigError, ForetokenError } from "../../core/errors/errors.ts";
import { compileSteps, within } from "../../generate/constraint/budget.ts";
import { compileConstraint } from "../../generate/constraint/compile.ts";
import type { Constraint } from "../../generate/constraint/constraint.ts";
import { asField } from "../../generate/constraint/fields.ts";
import type { ChatTemplate } from "../../pretrained/model/language-model.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { beginOfCalls, callsConstraint } from "./constraint.ts";
import { type Probe, toolFormOf } from "./form.ts";
import { type AnswerReader, answerReader } from "./reader.ts";
import { parametersOf, type Tool, type ToolChoice, type ToolField } from "./tools.ts";

/** The parts of a model that a turn with tools needs. */
export interface ToolModel {
  readonly tokenizer: Tokenizer;
  readonly endTokens: readonly number[];
}

/** Options of a turn. */
export interface ToolTurnOptions {
  /** The tools: one or more. */
  readonly tools: readonly Tool[];
  readonly choice: Exclude<ToolChoice, "none">;
  readonly parallel: boolean;
  /** Constraint on an answer without calls. Default: any text. */
  readonly otherwise?: Constraint | undefined;
  /** Names the field of a tool's schema, for errors. */
  readonly fieldOf: ToolField;
}

/** A prepared turn. */
export interface ToolTurn {
  readonly constraint: Constraint;
  /** Creates a reader for one text of the turn. The text must show special tokens by name. */
  reader(): AnswerReader;
}

/** @throws ConfigError for two tools with the same name, or a schema with an unsupported keyword. */
export const checkTools = (tools: readonly Tool[], tokenizer: Tokenizer, fieldOf: ToolField): void => {
  const names = tools.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new ConfigError({ where: "tools", must: "must have different names", got: `${twice} twice` });
  for (const [i, tool] of tools.entries()) {
    const field = fieldOf(i);
    const constraint: Constraint = { kind: "jsonSchema", schema: parametersOf(tool, field) };
    asField(`${field} (${tool.name})`, () => compileConstraint(constraint, tokenizer));
  }
};

/** The tools that an answer may call. @throws ConfigError if `choice` names an unknown tool. */
const allowedTools = (tools: readonly Tool[], choice: ToolTurnOptions["choice"]): readonly Tool[] => {
  if (typeof choice === "string") return tools;
  const named = tools.filter(({ name }) => name === choice.name);
  if (named.length > 0) return named;
  const must = `must name one of the tools ${tools.map(({ name }) => name).join(", ")}`;
  throw new ConfigError({ where: "tool choice", must, got: choice.name });
};

/**
 * Prepares a turn. All checks run here, before the model computes anything.
 * @param write renders messages with the model's template.
 * @param where the model, for errors.
 * @throws ConfigError for a template that does not support tools or writes calls in an unknown format, a schema with an
 * unsupported keyword, or calls that the vocabulary cannot write.
 */
export const toolTurn = async (
  { tokenizer, endTokens }: ToolModel,
  template: ChatTemplate,
  { tools, choice, parallel, otherwise, fieldOf }: ToolTurnOptions,
  write: Probe,
  where: string,
): Promise<ToolTurn> => {
  const allowed = allowedTools(tools, choice);
  const { specialTokens } = tokenizer;
  const form = await toolFormOf(template, write, { specialTokens, endTokens }, where);
  // One budget for the schemas of all tools together.
  within(compileSteps, "tools", () => checkTools(tools, tokenizer, fieldOf));
  const required = choice !== "auto";
  if (!required && otherwise !== undefined && form.atStart) {
    throw new ConfigError({
      where: "tools",
      must: "must not be combined with a constraint on the answer, because this model writes calls as JSON without a marker",
      got: "both",
      hint: "only tools, or only a constraint",
    });
  }
  const constraint = callsConstraint(form, specialTokens, { tools: allowed, required, parallel, otherwise });
  try {
    compileConstraint(constraint, tokenizer);
  } catch (cause) {
    if (!(cause instanceof ForetokenError)) throw cause;
    const must = "must be tools that this model can call";
    throw new ConfigError({ where: "tools", must, got: cause.message, cause });
  }
  const begin = beginOfCalls(form, required, otherwise !== undefined);
  return { constraint, reader: () => answerReader(form, begin) };
};

/** Removes the name of an end token from the end of a text. @param last the last token of `text`. */
export const withoutEndName = ({ tokenizer, endTokens }: ToolModel, text: string, last: number | undefined): string => {
  if (last === undefined || !endTokens.includes(last)) return text;
  const name = tokenizer.specialTokens.find(({ id }) => id === last)?.name;
  return name !== undefined && text.endsWith(name) ? text.slice(0, -name.length) : text;
};
