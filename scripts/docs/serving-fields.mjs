// Writes the tables of request fields into docs/guides/serving.md, between the markers. The source is the tables with
// which the server reads requests (src/serve/openai). test/serve/openai/page.test.ts fails if they differ. Needs a
// build.
//
//     node scripts/docs/serving-fields.mjs
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isMain, root } from "../build/common.mjs";

export const page = "docs/guides/serving.md";

/** Kinds of fields, in the order of a table, each with its name in the table. */
const kinds = {
  honoured: "honoured",
  default: "accepted at its default",
  unused: "accepted, changes nothing",
  refused: "refused by name",
};

/** Escapes a text for a table cell. */
const cell = (text) => text.replaceAll("|", "\\|");

const aboutOf = ({ kind, about, accepts }) => {
  if (kind !== "default") return about;
  return `${accepts.map((one) => `\`${JSON.stringify(one)}\``).join(" or ")}: ${about}`;
};

const tableOf = (fields) => {
  const order = Object.keys(kinds);
  const rows = Object.entries(fields).toSorted(([, a], [, b]) => order.indexOf(a.kind) - order.indexOf(b.kind));
  return [
    "| field | is | notes |",
    "|---|---|---|",
    ...rows.map(([name, field]) => `| \`${name}\` | ${kinds[field.kind]} | ${cell(aboutOf(field))} |`),
  ].join("\n");
};

/** `text` with the table of `fields` between the markers of `path`. */
const filled = (text, path, fields) => {
  const begin = `<!-- fields:${path} -->\n`;
  const end = `<!-- /fields:${path} -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`${page}: must have ${begin.trim()} and ${end} after it`);
  return `${text.slice(0, from)}${begin}\n${tableOf(fields)}\n\n${text.slice(to)}`;
};

/** The current page, and the expected page. */
export const servingPage = async () => {
  const { completionFields } = await import("../../dist/serve/openai/completions.js");
  const { chatFields } = await import("../../dist/serve/openai/chat-completions.js");
  const { responseFields } = await import("../../dist/serve/openai/responses.js");
  const { tokenizeFields, detokenizeFields } = await import("../../dist/serve/openai/tokens.js");
  const tables = {
    "/v1/completions": completionFields,
    "/v1/chat/completions": chatFields,
    "/v1/responses": responseFields,
    "/tokenize": tokenizeFields,
    "/detokenize": detokenizeFields,
  };
  const source = readFileSync(join(root, page), "utf8");
  const text = Object.entries(tables).reduce((done, [path, fields]) => filled(done, path, fields), source);
  return { source, text };
};

if (isMain(import.meta.url)) {
  const { source, text } = await servingPage();
  if (source === text) console.log(`${page} is up to date`);
  else {
    writeFileSync(join(root, page), text);
    console.log(`${page} is written`);
  }
}
