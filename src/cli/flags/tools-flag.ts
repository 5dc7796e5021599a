import type { Command } from "commander";
import { z } from "zod";
import { type Tool, type ToolField, templateTools, toolsSchema } from "../../chat/tools/tools.ts";
import { parseConfig } from "../../core/checks/config.ts";
import { jsonLimits, parseJson } from "../../core/checks/json.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { readRegularFile, UnreadableFileError } from "../../core/system/regular-file.node.ts";
import { parsePath } from "./flags.ts";

/** The flag for tools that a model may call. */
export interface ToolsFlag {
  readonly tools?: string;
}

export const addToolsFlag = (command: Command): Command =>
  command.option(
    "--tools <file>",
    "tools that the model may call, as a list in JSON; it shows the calls and asks for their results (default: none)",
    parsePath("--tools"),
  );

/** Tools in OpenAI's form. */
const wrapped = z.array(
  z.strictObject({
    type: z.literal("function"),
    function: z.looseObject({ strict: z.boolean().optional() }),
  }),
);

/** Where a file has the schemas of its tools. */
export const toolFieldOf =
  (path: string): ToolField =>
  (index) =>
    `--tools ${path}: ${index}.parameters`;

/** The tools of a file. @throws ConfigError for a file that has none. */
export const toolsOf = async ({ tools: path }: ToolsFlag): Promise<readonly Tool[] | undefined> => {
  if (path === undefined) return undefined;
  const where = `--tools ${path}`;
  let bytes: Uint8Array;
  try {
    bytes = await readRegularFile(path, { maxBytes: jsonLimits.config.maxBytes, followLinks: true });
  } catch (cause) {
    const got = cause instanceof UnreadableFileError ? cause.message : "none that can be read";
    throw new ConfigError({ where: "--tools", must: "must be a file of at most 1 MiB", got: `${path}: ${got}`, cause });
  }
  const limits = { ...jsonLimits.config, anyKey: true };
  const json = parseJson(bytes, limits, (fault) => new ConfigError({ where, ...fault }));
  const inner = wrapped.safeParse(json);
  // Every schema is kept to the letter, whether that is asked for or not.
  const own = inner.success ? inner.data.map(({ function: { strict: _, ...tool } }) => tool) : json;
  const tools = parseConfig(toolsSchema.min(1), own, where) as readonly Tool[];
  // For the types of their parameters.
  templateTools(tools, toolFieldOf(path));
  return tools;
};
