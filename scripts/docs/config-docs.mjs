// Writes docstrings from schemas: for the fields of a run's configuration, and for generation settings that are
// numbers. A docstring has the description, the range and the default. Editors show docstrings, but do not show
// schemas. test/types/config-docs.test.ts fails if docstrings and schemas differ. Needs a build.
//     node scripts/docs/config-docs.mjs
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { z } from "zod";
import { isMain, root } from "../build/common.mjs";

/**
 * The interfaces of each file, each with the path of its schema: "run" (a run's configuration) or "generate", then
 * keys, then the kind of a union.
 */
const interfaces = {
  "src/config/config.ts": { TrainConfig: ["run", "train"] },
  "src/config/average.ts": {
    EmaConfig: ["run", "train", "average", { kind: "ema" }],
    LastKConfig: ["run", "train", "average", { kind: "last-k" }],
  },
  "src/config/teacher.ts": { TeacherConfig: ["run", "train", "teacher"] },
  "src/tokenizer/config.ts": { CharTokenizerConfig: ["run", "tokenizer", { kind: "char" }] },
  "src/models/config.ts": { ModelConfig: ["run", "model"] },
  "src/models/config-parts.ts": {
    LearnedPositionConfig: ["run", "model", "position", { kind: "learned" }],
    RopeConfig: ["run", "model", "position", { kind: "rope" }],
    NoRopeScaling: ["run", "model", "position", { kind: "rope" }, "scaling", { kind: "none" }],
    LinearRopeScaling: ["run", "model", "position", { kind: "rope" }, "scaling", { kind: "linear" }],
    Llama3RopeScaling: ["run", "model", "position", { kind: "rope" }, "scaling", { kind: "llama3" }],
    LayerNormConfig: ["run", "model", "norm", { kind: "layernorm" }],
    RmsNormConfig: ["run", "model", "norm", { kind: "rmsnorm" }],
    GeluMlpConfig: ["run", "model", "mlp", { kind: "gelu" }],
    SwigluMlpConfig: ["run", "model", "mlp", { kind: "swiglu" }],
    GegluMlpConfig: ["run", "model", "mlp", { kind: "geglu" }],
    Relu2MlpConfig: ["run", "model", "mlp", { kind: "relu2" }],
    WindowConfig: ["run", "model", "window"],
    BiasConfig: ["run", "model", "bias"],
  },
  "src/models/lora/config.ts": { LoraConfig: ["run", "lora"] },
  "src/generate/sampling/settings.ts": { Sampling: ["generate"] },
  "src/generate/options.ts": { GenerateOptions: ["generate"] },
  "src/optim/config.ts": {
    AdamConfig: ["run", "train", "optimizer", { kind: "adam" }],
    AdamWConfig: ["run", "train", "optimizer", { kind: "adamw" }],
    MuonConfig: ["run", "train", "optimizer", { kind: "muon" }],
    ConstantSchedule: ["run", "train", "schedule", { kind: "constant" }],
    CosineSchedule: ["run", "train", "schedule", { kind: "cosine" }],
    LinearSchedule: ["run", "train", "schedule", { kind: "linear" }],
  },
};

const kindsOf = (node) => node.oneOf ?? node.anyOf;
const kindOf = (node) => node.properties?.kind?.const;

/** The node at a path in a JSON schema, and the union that contains this node. */
const nodeAt = (schema, path) =>
  path.reduce(
    ({ node }, step) =>
      typeof step === "string"
        ? { node: node.properties[step], union: undefined }
        : { node: kindsOf(node).find((member) => kindOf(member) === step.kind), union: node },
    { node: schema, union: undefined },
  );

/** The value at a path in a preset. Undefined if the preset has another kind of the union. */
const valueAt = (value, path) =>
  path.reduce((inner, step) => {
    if (typeof step === "string") return inner?.[step];
    return inner?.kind === step.kind ? inner : undefined;
  }, value);

const number = (value) => {
  if (Number.isInteger(value) && value >= 1e4) return value.toLocaleString("en-US");
  return value !== 0 && value < 1e-3 ? value.toExponential() : String(value);
};
const shown = (value) => {
  if (typeof value === "number") return number(value);
  return `\`${typeof value === "object" ? value.kind : value}\``;
};

/** A limit beyond these values is only the limit of the number type, so docstrings leave it out. */
const isOwnLimit = (value) => value === undefined || value >= Number.MAX_SAFE_INTEGER;

const range = ({ type, minimum, maximum, exclusiveMinimum, exclusiveMaximum }) => {
  const whole = type === "integer";
  const from = minimum ?? (whole && exclusiveMinimum !== undefined ? exclusiveMinimum + 1 : undefined);
  const limits = [
    from !== undefined && `from ${number(from)}`,
    from === undefined && exclusiveMinimum !== undefined && `above ${number(exclusiveMinimum)}`,
    !isOwnLimit(maximum) && `at most ${number(maximum)}`,
    exclusiveMaximum !== undefined && `below ${number(exclusiveMaximum)}`,
  ];
  return `${whole ? "Whole number" : "Number"} ${limits
    .filter(Boolean)
    .join(", ")
    .replace(/(from \S+), at most/, "$1 to")}`.trim();
};

const alternatives = (words) => (words.length === 1 ? words[0] : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`);

const valuesOf = (node) => {
  if (node.enum !== undefined) return alternatives(node.enum.map(shown));
  return node.type === "integer" || node.type === "number" ? range(node) : undefined;
};

/**
 * The default of a field. For a kind of a union, the default is in the schema. For all other fields, it is in the
 * preset.
 */
const defaultOf = (node, inKind, isRequired, ofPreset, preset) => {
  const inPreset = ofPreset === undefined ? undefined : `${shown(ofPreset)} in the preset \`${preset}\``;
  if (node.default === undefined || (!inKind && inPreset !== undefined)) {
    if (inPreset !== undefined) return `Default: ${inPreset}`;
    return isRequired ? "No default" : undefined;
  }
  const own = `Default ${shown(node.default)}`;
  return inPreset === undefined || shown(ofPreset) === shown(node.default) ? own : `${own}; ${inPreset}`;
};

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** The docstring of a generation setting that is a number. The docstrings of other settings are written by hand. */
const docOfSetting = ({ schema, defaults }, name) => {
  const node = schema.properties[name];
  if (node?.type !== "number" && node?.type !== "integer") return undefined;
  return `${sentence(node.description)} ${range(node)}. Default ${shown(defaults[name])}.`;
};

/** The docstring of a field. Undefined if the schema does not have the field. */
const docOf = ({ schema, presets, preset }, path, name) => {
  const { node: holder, union } = nodeAt(schema, path);
  if (holder === undefined) throw new Error(`no schema at ${JSON.stringify(path)}`);
  if (name === "kind" && union !== undefined) {
    const kinds = alternatives(kindsOf(union).map(kindOf).map(shown));
    return [sentence(union.description ?? "its kind"), `${kinds}.`].join(" ");
  }
  const node = holder.properties[name];
  if (node === undefined) return undefined;
  const ofPreset = valueAt(presets[preset], [...path, name]);
  const isPart = node.properties !== undefined;
  const inKind = path.some((step) => typeof step !== "string");
  const isRequired = holder.required?.includes(name) ?? false;
  const parts = [
    sentence(node.description ?? "its part"),
    valuesOf(node),
    isPart ? undefined : defaultOf(node, inKind, isRequired, ofPreset, preset),
  ];
  return parts
    .filter((part) => part !== undefined)
    .map((part) => (part.endsWith(".") ? part : `${part}.`))
    .join(" ");
};

const widest = 120;

/** A docstring in lines of at most 120 characters. */
const comment = (text, indent) => {
  const single = `${indent}/** ${text} */`;
  if (single.length <= widest) return single;
  const lines = [];
  let line = `${indent} *`;
  for (const word of text.split(" ")) {
    if (`${line} ${word}`.length > widest) {
      lines.push(line);
      line = `${indent} *`;
    }
    line += ` ${word}`;
  }
  return [`${indent}/**`, ...lines, line, `${indent} */`].join("\n");
};

/** `source` with regenerated docstrings. */
const rewritten = (file, source, docFor) => {
  const parsed = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true);
  const edits = [];
  for (const statement of parsed.statements) {
    if (!ts.isInterfaceDeclaration(statement)) continue;
    for (const member of statement.members) {
      const text = docFor(statement.name.text, member.name.getText(parsed));
      if (text === undefined) continue;
      const start = member.getStart(parsed);
      const [doc] = ts.getJSDocCommentsAndTags(member);
      const lineStart = source.lastIndexOf("\n", doc?.getStart(parsed) ?? start) + 1;
      const indent = /^ */.exec(source.slice(lineStart))[0];
      edits.push({ from: lineStart, to: source.lastIndexOf("\n", start) + 1, text: `${comment(text, indent)}\n` });
    }
  }
  return edits.reduceRight((text, edit) => text.slice(0, edit.from) + edit.text + text.slice(edit.to), source);
};

/** Expected contents of the files with configuration interfaces: path and text. */
export const configSources = async () => {
  const { runConfigSchema } = await import("../../dist/config/config.js");
  const { presets, defaultPreset } = await import("../../dist/config/presets.js");
  const { generateSettingsSchema, generateDefaults } = await import("../../dist/generate/options.js");
  const schemaOf = (schema) => z.toJSONSchema(schema, { io: "input" });
  const run = { schema: schemaOf(runConfigSchema), presets, preset: defaultPreset };
  const settings = { schema: schemaOf(generateSettingsSchema), defaults: generateDefaults };
  return Object.entries(interfaces).map(([file, places]) => {
    const source = readFileSync(join(root, file), "utf8");
    const found = new Set();
    const text = rewritten(file, source, (name, field) => {
      if (places[name] === undefined) return undefined;
      found.add(name);
      const [root, ...path] = places[name];
      return root === "run" ? docOf(run, path, field) : docOfSetting(settings, field);
    });
    const missing = Object.keys(places).find((name) => !found.has(name));
    if (missing !== undefined) throw new Error(`${file}: no interface ${missing}`);
    return { file, source, text };
  });
};

if (isMain(import.meta.url)) {
  for (const { file, source, text } of await configSources()) {
    if (text === source) continue;
    writeFileSync(join(root, file), text);
    console.log(`${file}: docstrings written`);
  }
}
