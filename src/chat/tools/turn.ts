/** One answer of a model that has tools: its constraint, and the reader of its text. */
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

/** What is asked of a turn. */
export interface ToolTurnOptions {
  /** One or more. */
  readonly tools: readonly Tool[];
  readonly choice: Exclude<ToolChoice, "none">;
  readonly parallel: boolean;
  /** What an answer without calls must be. Default: any text. */
  readonly otherwise?: Constraint | undefined;
  /** Where the tools are, for errors. */
  readonly fieldOf: ToolField;
}

/** See the head of the file. */
export interface ToolTurn {
  readonly constraint: Constraint;
  /** A reader for each text of the turn. The texts must show special tokens. */
  reader(): AnswerReader;
}

/** @throws ConfigError for two tools of one name, and for a schema with a keyword that is not obeyed. */
export const checkTools = (tools: readonly Tool[], tokenizer: Tokenizer, fieldOf: ToolField): void => {
  const names = tools.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new ConfigError({ where: "tools", must: "must have names that differ", got: `${twice} twice` });
  for (const [i, tool] of tools.entries()) {
    const field = fieldOf(i);
    const constraint: Constraint = { kind: "jsonSchema", schema: parametersOf(tool, field) };
    asField(`${field} (${tool.name})`, () => compileConstraint(constraint, tokenizer));
  }
};

/** The tools that an answer may call. @throws ConfigError for one that is named, and is none of them. */
const allowedTools = (tools: readonly Tool[], choice: ToolTurnOptions["choice"]): readonly Tool[] => {
  if (typeof choice === "string") return tools;
  const named = tools.filter(({ name }) => name === choice.name);
  if (named.length > 0) return named;
  const must = `must name one of the tools ${tools.map(({ name }) => name).join(", ")}`;
  throw new ConfigError({ where: "tool choice", must, got: choice.name });
};

/**
 * Prepares a turn. The whole of it is checked here, before anything is computed.
 * @param write writes messages with the model's template.
 * @param where the model, for errors.
 * @throws ConfigError for a template that takes no tools or whose form of calls is not known, a schema with a keyword that is not
 *   obeyed, and a form that the vocabulary cannot write.
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
  // One budget for all of them.
  within(compileSteps, "tools", () => checkTools(tools, tokenizer, fieldOf));
  const required = choice !== "auto";
  if (!required && otherwise !== undefined && form.atStart) {
    throw new ConfigError({
      where: "tools",
      must: "must not go with a form of the answer, where the model's calls are JSON without a mark",
      got: "both",
      hint: "one of them",
    });
  }
  const constraint = callsConstraint(form, specialTokens, { tools: allowed, required, parallel, otherwise });
  try {
    compileConstraint(constraint, tokenizer);
  } catch (cause) {
    if (!(cause instanceof ForetokenError)) throw cause;
    const must = "must be tools whose calls this model can write";
    throw new ConfigError({ where: "tools", must, got: cause.message, cause });
  }
  const begin = beginOfCalls(form, required, otherwise !== undefined);
  return { constraint, reader: () => answerReader(form, begin) };
};

/** Removes the name of the token that ends an answer from its text. @param last the last token of `text`. */
export const withoutEndName = ({ tokenizer, endTokens }: ToolModel, text: string, last: number | undefined): string => {
  if (last === undefined || !endTokens.includes(last)) return text;
  const name = tokenizer.specialTokens.find(({ id }) => id === last)?.name;
  return name !== undefined && text.endsWith(name) ? text.slice(0, -name.length) : text;
};
