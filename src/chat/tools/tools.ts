/** Tools that a model may call: their descriptions, and the messages with calls and results. */
import { z } from "zod";
import { isRecord } from "../../core/checks/is-record.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { type ChatMessage, messageSchema, type TemplateMessage, wellFormed } from "../messages.ts";

/** A tool that a model may call. The program runs it; the library never does. */
export interface Tool {
  /** Its name: 1 to 64 letters, digits, _ and -. */
  readonly name: string;
  /** Description of the tool for the model. */
  readonly description?: string | undefined;
  /**
   * JSON Schema of the tool's arguments. The arguments are an object. An unsupported keyword gives an error that names
   * the keyword. Default: no arguments.
   */
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
}

/** A tool call that a model wrote. */
export interface ToolCall {
  /** Id of the call. The message with the call's result contains the same id. */
  readonly id: string;
  /** The name of the tool. */
  readonly name: string;
  /** The arguments of the call. The arguments meet the tool's schema. */
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** An answer that contains calls. */
export interface ToolCallsMessage {
  /** The speaker. */
  readonly role: "assistant";
  /** Text before the calls, or "" if the answer begins with a call. */
  readonly content: string;
  /** The calls: one or more. */
  readonly toolCalls: readonly ToolCall[];
}

/** The result of a call. */
export interface ToolResultMessage {
  /** The speaker. */
  readonly role: "tool";
  /** The id of the call. */
  readonly toolCallId: string;
  /** The result as text, often JSON. */
  readonly content: string;
}

/** A message of a conversation with tools. */
export type ToolMessage = ChatMessage | ToolCallsMessage | ToolResultMessage;

/** The tool that must be called. */
export interface NamedTool {
  /** Its name. */
  readonly name: string;
}

/**
 * Whether the model must call tools. `none`: the model must not call a tool. `auto`: the model decides. `required`: the
 * model must call at least one tool. The name of a tool: the model must call this tool.
 */
export type ToolChoice = "none" | "auto" | "required" | NamedTool;

/** Maximum number of tools of one conversation. */
export const mostTools = 128;

export const toolName = z
  .string({ error: "must be a text" })
  .regex(/^[\w-]{1,64}$/u, "must be 1 to 64 letters, digits, _ and -");

/** Maximum nesting of a value that a template gets. With this limit, recursion over the value is safe. */
const mostLevels = 64;

const isShallow = (value: unknown, levels = mostLevels): boolean =>
  typeof value !== "object" ||
  value === null ||
  (levels > 0 && Object.values(value).every((part) => isShallow(part, levels - 1)));

const tooDeep = `must be nested at most ${mostLevels} levels deep`;

/** A JSON object that is not nested too deeply. */
export const shallowObject = z.record(z.string(), z.unknown()).refine((value) => isShallow(value), tooDeep);

export const toolsSchema = z
  .array(
    z.strictObject({
      name: toolName,
      description: wellFormed.optional(),
      parameters: shallowObject.optional(),
    }),
  )
  .max(mostTools);

export const toolChoiceSchema = z.union([z.enum(["none", "auto", "required"]), z.strictObject({ name: toolName })]);

const callSchema = z.strictObject({
  id: z.string().min(1),
  name: toolName,
  arguments: z.record(z.string(), z.unknown()),
});

const toolMessageSchema = z
  .union([
    z.strictObject({ role: z.literal("assistant"), content: wellFormed, toolCalls: z.array(callSchema).min(1) }),
    z.strictObject({ role: z.literal("tool"), toolCallId: z.string().min(1), content: wellFormed }),
    messageSchema,
  ])
  // This check comes after the union, because an error of a union does not name a field.
  .superRefine((message, context) => {
    if (!("toolCalls" in message)) return;
    for (const [i, call] of message.toolCalls.entries()) {
      if (isShallow(call.arguments)) continue;
      context.addIssue({ code: "custom", message: tooDeep, path: ["toolCalls", i, "arguments"] });
    }
  });

export const toolMessagesSchema = z.array(toolMessageSchema).min(1);

/**
 * The schema of a tool's arguments; its type is always object. @param field the field with the schema, for errors.
 * @throws ConfigError for another type.
 */
export const parametersOf = ({ name, parameters }: Tool, field = "parameters"): Readonly<Record<string, unknown>> => {
  if (parameters === undefined) return { type: "object", properties: {}, additionalProperties: false };
  const { type = "object" } = parameters;
  if (type !== "object") {
    const got = JSON.stringify(type);
    throw new ConfigError({ where: `${field}.type (${name})`, must: "must be object", got });
  }
  return { ...parameters, type };
};

/** The name of the field that contains the schema of the tool at `index`. */
export type ToolField = (index: number) => string;

/** Tools in OpenAI's format, which templates expect. */
export const templateTools = (tools: readonly Tool[], fieldOf: ToolField): readonly unknown[] =>
  tools.map((tool, i) => ({
    type: "function",
    function: { name: tool.name, description: tool.description ?? "", parameters: parametersOf(tool, fieldOf(i)) },
  }));

/** Allowed characters and length of a call id. Some templates, such as Mistral's, accept only such ids. */
const idCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
export const idLength = 9;

/** A random call id. */
export const newCallId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(idLength)), (byte) => idCharacters[byte % 62]).join("");

/**
 * Returns an id that every template accepts. If some templates would refuse the given id, the result is the id's hash.
 */
const templateId = (id: string): string => {
  if (/^[a-zA-Z0-9]{9}$/u.test(id)) return id;
  let hash = 0xcbf29ce484222325n;
  for (const unit of id) hash = ((hash ^ BigInt(unit.codePointAt(0) ?? 0)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash.toString(36).padStart(idLength, "0").slice(-idLength);
};

/**
 * Converts messages to the format that templates expect.
 * @param where the messages, for errors.
 * @throws ConfigError if no call comes before a result.
 */
export const templateMessages = (messages: readonly ToolMessage[], where: string): readonly TemplateMessage[] => {
  const called = new Map<string, string>();
  return messages.map((message, i): TemplateMessage => {
    if (message.role === "tool") {
      const { toolCallId, content } = message;
      const name = called.get(toolCallId);
      if (name === undefined) {
        const must = "the result of a call must come after the message with the call";
        throw new ConfigError({
          where: `${where}.${i}`,
          must,
          got: `the id ${JSON.stringify(toolCallId.slice(0, 40))}`,
        });
      }
      return { role: "tool", content, tool_call_id: templateId(toolCallId), name };
    }
    const { role, content } = message;
    if (!("toolCalls" in message)) return { role, content };
    const calls = message.toolCalls.map(({ id, name, arguments: given }) => {
      called.set(id, name);
      return { id: templateId(id), type: "function", function: { name, arguments: given } };
    });
    return { role, content, tool_calls: calls };
  });
};

/** Parses the arguments of a call, or returns undefined if the JSON is not an object. */
export const readArguments = (json: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(json);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
};
