// Writes the library's reference to docs/api, or to the given folder. The exports of both entries come from their
// docstrings (typedoc.json). The fields of a run's configuration come from their schemas. Needs a build.
//     npm run docs
//     node scripts/docs/reference.mjs FOLDER
import { spawnSync } from "node:child_process";
import { appendFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { root } from "../build/common.mjs";

const folder = resolve(process.argv[2] ?? join(root, "docs/api"));

const code = (value) => (value === undefined ? "" : `\`${JSON.stringify(value)}\``);

const bounds = ({ type, minimum, maximum, exclusiveMinimum, exclusiveMaximum }) => {
  const above = type === "integer" && exclusiveMinimum !== undefined ? undefined : exclusiveMinimum;
  const from = above === exclusiveMinimum ? minimum : exclusiveMinimum + 1;
  const limits = [
    from !== undefined && `from ${from}`,
    above !== undefined && `above ${above}`,
    maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER && `to ${maximum}`,
    exclusiveMaximum !== undefined && `below ${exclusiveMaximum}`,
  ];
  return limits.filter(Boolean).join(" ");
};

const values = (schema) => {
  if (schema.const !== undefined) return code(schema.const);
  if (schema.enum !== undefined) return schema.enum.map(code).join(", ");
  const names = { integer: "whole number", number: "number", boolean: "`true`, `false`", string: "text" };
  return `${names[schema.type]} ${bounds(schema)}`.trim();
};

/** One row for each field: path, values, meaning, default, and the kinds with this field. */
const fieldsOf = (path, schema) => {
  const kinds = schema.oneOf ?? schema.anyOf;
  if (kinds !== undefined) {
    const nameOf = ({ properties }) => properties.kind.const;
    const own = kinds.flatMap((member) =>
      Object.entries(member.properties).map(([name, field]) => ({
        name,
        field,
        key: JSON.stringify([name, field]),
        member,
      })),
    );
    const fields = own.filter(({ name }) => name !== "kind");
    // A field that is the same in several kinds has one row.
    const told = fields.filter(({ key }, index) => fields.findIndex((other) => other.key === key) === index);
    return [
      {
        path: `${path}.kind`,
        values: kinds.map(nameOf).map(code).join(", "),
        meaning: schema.description ?? "",
        default: schema.default?.kind,
      },
      ...told.flatMap(({ name, field, key }) => {
        const having = fields.filter((other) => other.key === key).map(({ member }) => nameOf(member));
        return fieldsOf(`${path}.${name}`, field).map((row) =>
          having.length === kinds.length ? row : { ...row, union: `${path}.kind`, having },
        );
      }),
    ];
  }
  if (schema.type === "object") {
    return Object.entries(schema.properties).flatMap(([name, field]) => fieldsOf(`${path}.${name}`, field));
  }
  return [{ path, values: values(schema), meaning: schema.description ?? "", default: schema.default }];
};

const valueAt = (value, path) => path.split(".").reduce((inner, key) => inner?.[key], value);

const configurationPage = async () => {
  const { runConfigSchema } = await import("../../dist/config/config.js");
  const { presets } = await import("../../dist/config/presets.js");
  const { properties } = z.toJSONSchema(runConfigSchema, { io: "input" });
  const names = Object.keys(presets);
  const row = (cells) => `| ${cells.join(" | ")} |`;
  const table = (part) => [
    row(["field", "values", "meaning", "unless given", ...names]),
    row(Array.from({ length: 4 + names.length }, () => "---")),
    ...fieldsOf(part, properties[part]).map((field) =>
      row([
        `\`${field.path}\``,
        field.values,
        [field.meaning, ...(field.having === undefined ? [] : [`(${field.having.map(code).join(", ")})`])].join(" "),
        code(field.default),
        ...names.map((name) => {
          const has = field.having?.includes(valueAt(presets[name], field.union)) ?? true;
          return has ? code(valueAt(presets[name], field.path)) : "";
        }),
      ]),
    ),
  ];
  return [
    "# configuration",
    "",
    "The fields of `RunConfig`, which `train` takes as `config`, `--config` as a file and the command line as flags",
    "(`--model.nLayer 6`), each with its value in the presets.",
    "",
    "## The tokens",
    "",
    ...table("tokenizer"),
    "",
    "## The model",
    "",
    ...table("model"),
    "",
    "## The training",
    "",
    ...table("train"),
    "",
  ].join("\n");
};

const typedoc = [join(root, "node_modules/typedoc/bin/typedoc"), "--out", folder];
const { status } = spawnSync(process.execPath, typedoc, { cwd: root, stdio: "inherit" });
if (status === 0) {
  writeFileSync(join(folder, "configuration.md"), await configurationPage());
  appendFileSync(join(folder, "README.md"), "| [configuration](configuration.md) | The fields of `RunConfig` |\n");
} else {
  process.exitCode = 1;
}
