/**
 * Tools of a request: the available tools, whether the model must call a tool, and the constraint on the answer's text.
 */
import { z } from "zod";
import { type Tool, type ToolChoice, type ToolField, templateTools, toolName } from "../../chat/tools/tools.ts";
import { type ToolTurn, toolTurn } from "../../chat/tools/turn.ts";
import { ForetokenError } from "../../core/errors/errors.ts";
import type { Constraint } from "../../generate/constraint/constraint.ts";
import { invalid } from "./api-error.ts";
import { known, promptText } from "./api-text.ts";
import type { Exchange } from "./exchange.ts";
import { honoured } from "./fields.ts";
import type { Lease } from "./served-models.ts";

/** Maximum number of tools of one request. */
const mostTools = 128;

const isTool = z.literal("function", { error: "must be function: other tools are not supported" });
const described = {
  name: toolName,
  description: promptText.nullish(),
  parameters: z.record(z.string(), z.unknown(), { error: "must be a JSON Schema of an object" }).nullish(),
  // `strict` is ignored, because texts always follow every schema exactly.
  strict: z.boolean({ error: "must be true or false" }).nullish(),
};
const flat = known(described);

const toolOf = ({ name, description, parameters }: z.output<typeof flat>): Tool => ({
  name,
  ...(description == null ? {} : { description }),
  ...(parameters == null ? {} : { parameters }),
});

const listOf = <Schema extends z.ZodType>(schema: Schema) =>
  z.array(schema, { error: "must be a list of tools" }).max(mostTools, `must be at most ${mostTools} tools`);

const words = z.enum(["none", "auto", "required"]);
const choiceError = { error: "must be none, auto, required, or a function with its name" };
const about = {
  tools:
    "functions; the model's chat template must support tools; the server obeys every keyword of the functions' schemas, or names the keyword that it refuses",
  choice: "`none`, `auto`, `required` or a function; default `auto`",
  parallel: "whether an answer may have several tool calls; default true",
};
const parallel = honoured(z.boolean({ error: "must be true or false" }), about.parallel);

/** Tool fields of chat completions. */
export const chatToolFields = {
  tools: honoured(
    listOf(known({ type: isTool, function: flat }).transform((one) => toolOf(one.function))),
    about.tools,
  ),
  tool_choice: honoured(
    z.union(
      [words, known({ type: isTool, function: known({ name: toolName }) }).transform((one) => one.function)],
      choiceError,
    ),
    about.choice,
  ),
  parallel_tool_calls: parallel,
} as const;

/** Tool fields of responses. */
export const responseToolFields = {
  tools: honoured(listOf(known({ type: isTool, ...described }).transform(toolOf)), about.tools),
  tool_choice: honoured(
    z.union([words, known({ type: isTool, name: toolName }).transform(({ name }) => ({ name }))], choiceError),
    about.choice,
  ),
  parallel_tool_calls: parallel,
} as const;

/** The values of the tool fields. */
export interface ToolValues {
  readonly tools?: readonly Tool[];
  readonly tool_choice?: ToolChoice;
  readonly parallel_tool_calls?: boolean;
}

/** For each endpoint: the field that contains the schema of a tool. */
export const chatToolField: ToolField = (index) => `tools.${index}.function.parameters`;
export const responseToolField: ToolField = (index) => `tools.${index}.parameters`;

/** Tools for the chat template. */
export const toldTools = ({ tools = [], tool_choice: choice }: ToolValues, fieldOf: ToolField): readonly unknown[] =>
  choice === "none" ? [] : named("tools", () => templateTools(tools, fieldOf));

/** Turns an error of the library into an ApiError with the name of the field. */
const named = <T>(field: string, work: () => T): T => {
  try {
    return work();
  } catch (error) {
    throw refusal(field, error);
  }
};

const refusal = (field: string, error: unknown): unknown => {
  if (!(error instanceof ForetokenError)) return error;
  const { message, details } = error;
  const [own] = /^tools[.\w]*/u.exec(details.where) ?? [field];
  return invalid(message.startsWith(field) ? message : `${field}: ${message}`, own, "unsupported_value");
};

/**
 * The turn of a request with tools. Undefined: there are no tools, or the model may not call a tool.
 * @param otherwise constraint on an answer without calls.
 * @param fieldOf returns the field of a tool's schema, for errors.
 * @throws ApiError for tools that this model cannot call.
 */
export const turnOf = async (
  { signal }: Exchange,
  { lm, templates }: Lease,
  { tools = [], tool_choice: choice = "auto", parallel_tool_calls: several = true }: ToolValues,
  otherwise: Constraint | undefined,
  fieldOf: ToolField,
): Promise<ToolTurn | undefined> => {
  if (tools.length === 0) {
    if (choice === "auto" || choice === "none") return undefined;
    throw invalid("tool_choice: needs tools; got no tools", "tool_choice");
  }
  if (choice === "none" || lm.chatTemplate === null) return undefined;
  const template = lm.chatTemplate;
  const isNamed = typeof choice === "object" && tools.every(({ name }) => name !== choice.name);
  if (isNamed)
    throw invalid(`tool_choice: must name one of the tools; got ${JSON.stringify(choice.name)}`, "tool_choice");
  try {
    return await toolTurn(
      lm,
      template,
      { tools, choice, parallel: several, otherwise, fieldOf },
      (messages, probed) => templates.render(template, messages, "tools", probed, signal),
      "tools",
    );
  } catch (error) {
    throw refusal("tools", error);
  }
};
