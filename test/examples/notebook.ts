/** Reads the notebook of examples/. Supports the parts of nbformat version 4 that the notebook uses. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { root } from "../support/pages.ts";

const lines = z.array(z.string());
const id = z.string().regex(/^[\w-]{1,64}$/u);
const noMetadata = z.strictObject({});

const stream = z.strictObject({ output_type: z.literal("stream"), name: z.enum(["stdout", "stderr"]), text: lines });
const display = z.strictObject({
  output_type: z.literal("display_data"),
  data: z.record(z.string(), lines),
  metadata: noMetadata,
});

const prose = z.strictObject({ cell_type: z.literal("markdown"), id, metadata: noMetadata, source: lines });
const code = z.strictObject({
  ...{ cell_type: z.literal("code"), id, metadata: noMetadata, source: lines },
  execution_count: z.int().min(1),
  outputs: z.array(z.discriminatedUnion("output_type", [stream, display])),
});

const notebook = z.strictObject({
  cells: z.array(z.discriminatedUnion("cell_type", [prose, code])),
  metadata: z.strictObject({
    kernelspec: z.strictObject({ display_name: z.string(), language: z.string(), name: z.string() }),
    language_info: z.looseObject({ name: z.string(), file_extension: z.string(), mimetype: z.string() }),
  }),
  nbformat: z.literal(4),
  nbformat_minor: z.int().min(5),
});

export type Notebook = z.infer<typeof notebook>;
export type CodeCell = z.infer<typeof code>;

/** All outputs of a cell, in order. */
export interface Shown {
  /** All printed text. */
  readonly printed: string;
  /** Type and text of each picture or table. */
  readonly displayed: readonly (readonly [type: string, text: string])[];
}

export const notebookText = (): Promise<string> => readFile(join(root, "examples/notebook.ipynb"), "utf8");

/** @throws ZodError if the notebook has another format. */
export const readNotebook = (text: string): Notebook => notebook.parse(JSON.parse(text));

export const codeOf = ({ cells }: Notebook): readonly CodeCell[] =>
  cells.flatMap((cell) => (cell.cell_type === "code" ? [cell] : []));

/** The stored outputs of a cell. */
export const keptOf = ({ outputs }: CodeCell): Shown => ({
  printed: outputs.flatMap((output) => (output.output_type === "stream" ? output.text : [])).join(""),
  displayed: outputs.flatMap((output) =>
    output.output_type === "display_data"
      ? Object.entries(output.data).map(([type, text]) => [type, text.join("")] as const)
      : [],
  ),
});
