import type { Command } from "commander";
import { z } from "zod";
import { type Tool, type ToolField, templateTools, toolsSchema } from "../../chat/tools/tools.ts";
import { parseConfig } from "../../core/checks/config.ts";
import { jsonLimits, parseJson } from "../../core/checks/json.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { readRegularFile, UnreadableFileError } from "../../core/system/regular-file.node.ts";
import { parsePath } from "./flags.ts";

/** Flag for tools that a model may call. */
export interface ToolsFlag {
  readonly tools?: string;
}

export const addToolsFlag = (command: Command): Command =>
  command.option(
    "--tools <file>",
    "JSON file with a list of tools that the model may call; chat shows each call and asks you for its result (default: none)",
    parsePath("--tools"),
  );

/** Tools in OpenAI's form. */
const wrapped = z.array(
  z.strictObject({
    type: z.literal("function"),
    function: z.looseObject({ strict: z.boolean().optional() }),
  }),
);

/** Names a tool's schema in errors. */
export const toolFieldOf =
  (path: string): ToolField =>
  (index) =>
    `--tools ${path}: ${index}.parameters`;

/** Reads tools from a file. @throws ConfigError for a file without valid tools. */
export const toolsOf = async ({ tools: path }: ToolsFlag): Promise<readonly Tool[] | undefined> => {
  if (path === undefined) return undefined;
  const where = `--tools ${path}`;
  let bytes: Uint8Array;
  try {
    bytes = await readRegularFile(path, { maxBytes: jsonLimits.config.maxBytes, followLinks: true });
  } catch (cause) {
    const got = cause instanceof UnreadableFileError ? cause.message : "an unreadable file";
    throw new ConfigError({ where: "--tools", must: "must be a file of at most 1 MiB", got: `${path}: ${got}`, cause });
  }
  const limits = { ...jsonLimits.config, anyKey: true };
  const json = parseJson(bytes, limits, (fault) => new ConfigError({ where, ...fault }));
  const inner = wrapped.safeParse(json);
  // Every schema is enforced exactly, so `strict` has no effect.
  const own = inner.success ? inner.data.map(({ function: { strict: _, ...tool } }) => tool) : json;
  const tools = parseConfig(toolsSchema.min(1), own, where) as readonly Tool[];
  // Checks the types of the tools' parameters.
  templateTools(tools, toolFieldOf(path));
  return tools;
};
