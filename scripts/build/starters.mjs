// Makes the JavaScript starters of `foretoken init --js` from the TypeScript starters. For each templates/*/NAME.ts it
// writes dist/starters/*/NAME.js, without types, but with the same comments and layout.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { hashFiles, isMain, readStamp, root, secondsSince, sourcesUnder, writeStamp } from "./common.mjs";

/** Files of the JavaScript starter. Settings of Vite are only in the TypeScript starter. */
export const starterSources = () =>
  sourcesUnder("templates", [".ts"]).filter((file) => basename(file) !== "vite.config.ts");

/** The import without the names of types. Undefined if no name remains. */
const withoutTypes = (ts, node, file) => {
  const { importClause, moduleSpecifier } = node;
  const names = importClause?.namedBindings;
  if (importClause?.isTypeOnly) return undefined;
  if (names === undefined || !ts.isNamedImports(names)) return node.getText(file);
  const kept = names.elements.filter(({ isTypeOnly }) => !isTypeOnly).map((name) => name.getText(file));
  return kept.length === 0 ? undefined : `import { ${kept.join(", ")} } from ${moduleSpecifier.getText(file)};`;
};

/** The parts of the text to replace. Each has a begin, an end and a new text. */
const changesOf = (ts, file) => {
  const text = file.text;
  const changes = [];
  const replace = (from, to, by = "") => {
    changes.push({ from, to, by });
  };
  /** Removes the text from `from` to the end of the node, and the empty lines after it. */
  const removeWhole = (node, from) => {
    const rest = text.slice(node.getEnd());
    replace(from, node.getEnd() + rest.length - rest.trimStart().length);
  };
  /** The position where the node begins, or where its comment begins. */
  const startOf = (node) => {
    const start = node.getStart(file);
    const comment = ts.getLeadingCommentRanges(text, node.getFullStart())?.at(-1);
    return comment === undefined || text.slice(comment.end, start).includes("\n\n") ? start : comment.pos;
  };
  const visit = (node) => {
    if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) {
      removeWhole(node, startOf(node));
      return;
    }
    if (ts.isImportDeclaration(node)) {
      const kept = withoutTypes(ts, node, file);
      // A comment before an import often belongs to the file.
      if (kept === undefined) removeWhole(node, node.getStart(file));
      else replace(node.getStart(file), node.getEnd(), kept);
      return;
    }
    if (ts.isAsExpression(node) || ts.isSatisfiesExpression(node)) {
      replace(node.expression.getEnd(), node.getEnd());
      visit(node.expression);
      return;
    }
    for (const list of [node.typeParameters, node.typeArguments]) {
      if (list !== undefined) replace(list.pos - 1, text.indexOf(">", list.end) + 1);
    }
    if (node.type !== undefined) {
      const colon = text.lastIndexOf(":", node.type.getStart(file));
      replace(node.questionToken?.getStart(file) ?? colon, node.type.getEnd());
    }
    ts.forEachChild(node, (child) => {
      if (!ts.isTypeNode(child) && !ts.isTypeParameterDeclaration(child)) visit(child);
    });
  };
  ts.forEachChild(file, visit);
  return changes.sort((a, b) => b.from - a.from);
};

/**
 * `source` without its types.
 * @param names names of all generated files. In the text and in its imports, the name of a source file is replaced by
 * the generated name.
 */
export const toJavaScript = async (source, names) => {
  const { default: ts } = await import("typescript");
  const file = ts.createSourceFile("a.ts", source, ts.ScriptTarget.Latest, true);
  let text = source;
  for (const { from, to, by } of changesOf(ts, file)) text = text.slice(0, from) + by + text.slice(to);
  for (const name of names) text = text.replaceAll(new RegExp(`\\b${name}\\b`, "g"), name.replace(/ts$/, "js"));
  const biome = join(root, "node_modules/@biomejs/biome/bin/biome");
  return execFileSync(process.execPath, [biome, "format", "--stdin-file-path=templates/a.js"], {
    cwd: root,
    input: text,
    encoding: "utf8",
  });
};

export const buildStarters = async () => {
  const sources = starterSources();
  const outputs = sources.map((file) =>
    join(root, file.replace(/^templates\//, "dist/starters/").replace(/\.ts$/, ".js")),
  );
  const hash = hashFiles([...sources, "scripts/build/starters.mjs", "biome.json"]);
  if (outputs.every((file) => readStamp("starters", file) === hash)) return undefined;
  const started = performance.now();
  rmSync(join(root, "dist/starters"), { recursive: true, force: true });
  const names = sources.map((file) => basename(file));
  for (const [i, source] of sources.entries()) {
    mkdirSync(dirname(outputs[i]), { recursive: true });
    writeFileSync(outputs[i], await toJavaScript(readFileSync(join(root, source), "utf8"), names));
  }
  writeStamp("starters", hash);
  return `Starters: built in ${secondsSince(started)}`;
};

if (isMain(import.meta.url)) {
  const line = await buildStarters();
  if (line !== undefined) console.log(line);
}
