// Collects the English of the project: comments, texts of help and errors, documentation, and texts of the studio.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

/** Kinds of prose. */
export const kinds = ["comments", "messages", "docs", "page"];

const isPage = (file) => file.startsWith("web/") || file.startsWith("src/lesson/") || file.startsWith("templates/");

/** Comments without their marks. Consecutive `//` lines are one passage. */
const commentText = (comment) =>
  comment
    .replace(/^\/\*\*?|\*\/$/g, "")
    .split("\n")
    .map((line) => line.replace(/^\s*(\/\/+|\*|#)?\s?/, ""))
    .join("\n")
    .trim();

const lineOf = (text, offset) => text.slice(0, offset).split("\n").length;

/** Joins `//` comments on consecutive lines. */
const joined = (text, ranges) => {
  const groups = [];
  for (const { pos, end } of ranges) {
    const last = groups.at(-1);
    const isLine = text.startsWith("//", pos);
    const follows = last?.isLine && isLine && /^\r?\n[ \t]*$/.test(text.slice(last.end, pos));
    if (follows) last.end = end;
    else groups.push({ pos, end, isLine });
  }
  return groups.map(({ pos, end }) => ({ line: lineOf(text, pos), pos, end, text: commentText(text.slice(pos, end)) }));
};

const isWorded = (text) => /\p{L}[^\s]*\s+[^\s]*\p{L}[^\s]*\s+[^\s]*\p{L}/u.test(text);

/**
 * The text of a string, of a template or of a concatenation. `…` replaces values. Undefined for any other expression.
 */
const stringText = (node) => {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node))
    return node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join("");
  if (ts.isParenthesizedExpression(node)) return stringText(node.expression);
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken) {
    const [left, right] = [stringText(node.left), stringText(node.right)];
    return left === undefined && right === undefined ? undefined : `${left ?? "…"}${right ?? "…"}`;
  }
  return undefined;
};

const scriptPassages = (file, text) => {
  const kind = file.endsWith(".tsx") ? ts.ScriptKind.TSX : file.endsWith(".ts") ? ts.ScriptKind.TS : ts.ScriptKind.JS;
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true, kind);
  const ranges = new Map();
  const strings = [];
  const visit = (node, isInString) => {
    let inside = isInString;
    if (!isInString && !ts.isImportDeclaration(node)) {
      const value = ts.isJsxText(node) ? node.text.trim() : stringText(node);
      if (value !== undefined) {
        inside = true;
        if (isWorded(value)) strings.push({ line: lineOf(text, node.getStart()), text: value });
      }
    }
    const children = node.getChildren(source);
    if (children.length === 0) {
      for (const range of ts.getLeadingCommentRanges(text, node.pos) ?? []) ranges.set(range.pos, range);
      for (const range of ts.getTrailingCommentRanges(text, node.end) ?? []) ranges.set(range.pos, range);
    }
    for (const child of children) if (!ts.isJSDoc(child)) visit(child, inside);
  };
  visit(source, false);
  const comments = joined(
    text,
    [...ranges.values()].sort((a, b) => a.pos - b.pos),
  );
  const stringKind = isPage(file) ? "page" : "messages";
  return [
    ...comments.map((one) => ({ ...one, kind: "comments" })),
    ...(file.startsWith("src/") || isPage(file) ? strings.map((one) => ({ ...one, kind: stringKind })) : []),
  ];
};

const nativePassages = (text) => {
  const ranges = [...text.matchAll(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g)].map(({ index, 0: all }) => ({
    pos: index,
    end: index + all.length,
  }));
  return joined(text, ranges).map((one) => ({ ...one, kind: "comments" }));
};

/** Collects paragraphs, list items, table cells and headings outside code blocks. */
const markdownPassages = (text) => {
  const passages = [];
  let isCode = false;
  let current;
  text.split("\n").forEach((line, i) => {
    if (/^\s*```/.test(line)) isCode = !isCode;
    const isBreak = isCode || /^\s*($|```|<|\|?\s*[-:|\s]+$)/.test(line);
    const begins = /^\s*([-*#]|\d+\.|\|)/.test(line);
    if (isBreak || begins) current = undefined;
    if (isBreak) return;
    const cells = line.trim().startsWith("|") ? line.split("|") : [line.replace(/^\s*([-*#]+|\d+\.)\s/, "")];
    for (const cell of cells) {
      if (current !== undefined && cells.length === 1) current.text += `\n${cell.trim()}`;
      else {
        current = { line: i + 1, text: cell.trim(), kind: "docs" };
        passages.push(current);
      }
    }
    if (cells.length > 1) current = undefined;
  });
  return passages;
};

const passagesOf = (file, text) => {
  if (/\.(ts|tsx|mjs|js)$/.test(file)) return scriptPassages(file, text);
  if (/\.(h|cc|cpp|css)$/.test(file)) return nativePassages(text);
  if (file.endsWith(".md")) return markdownPassages(text);
  return [];
};

/** Files with prose that people of this project wrote. The changelog is not included, because it describes history. */
export const proseFiles = (root) =>
  execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  })
    .split("\0")
    .filter((file) => /\.(ts|tsx|mjs|js|h|cc|cpp|css|md)$/.test(file))
    .filter((file) => !/(^|\/)(fixtures|node_modules|CHANGELOG\.md)(\/|$)/.test(file));

/**
 * All passages of `files`, in order. A passage has its file, the line of its first word, its kind and its text. A
 * comment also has the range of its characters.
 */
export const passages = (root, files) =>
  files.flatMap((file) =>
    passagesOf(file, readFileSync(join(root, file), "utf8"))
      .filter(({ text }) => isWorded(text))
      .map((one) => ({ file, ...one })),
  );

/** The sentences of a passage. */
export const sentences = (text) =>
  text
    .replace(/\s+/g, " ")
    .split(/(?<=[.!?:])\s+(?=[\p{Lu}`"'(\d*])/u)
    .filter((sentence) => (sentence.match(/\p{L}{2,}/gu) ?? []).length >= 5);
