// Places in the code where a fault can be planted. A place is a range of a file's text with a replacement. TypeScript's
// compiler parses TypeScript. Patterns match each line of C++.
import ts from "typescript";

/**
 * @typedef {{ kind: string, start: number, end: number, replacement: string }} Place from `start` up to `end` of the text
 */

/** Kinds of faults, in the order of the draw. */
export const kinds = [
  "comparison turned",
  "off by one",
  "await dropped",
  "arguments swapped",
  "check missing",
  "kernel's edge",
];

const turned = { "<": "<=", "<=": "<", ">": ">=", ">=": ">", "===": "!==", "!==": "===", "==": "!=", "!=": "==" };

const isThrow = (statement) =>
  ts.isThrowStatement(statement) ||
  (ts.isBlock(statement) && statement.statements.length === 1 && ts.isThrowStatement(statement.statements[0]));

/**
 * The places of a node, without the places of its children.
 * @param {ts.Node} node
 * @param {ts.SourceFile} source
 * @returns {Place[]}
 */
const placesOfNode = (node, source) => {
  const place = (kind, from, to, replacement) => ({ kind, start: from.getStart(source), end: to.end, replacement });
  if (ts.isBinaryExpression(node)) {
    const { operatorToken: operator, left, right } = node;
    const sign = operator.getText(source);
    if (turned[sign] !== undefined) return [place("comparison turned", operator, operator, turned[sign])];
    if (["+", "-"].includes(sign) && ts.isNumericLiteral(right) && right.text === "1")
      return [
        place("off by one", right, right, "2"),
        { kind: "off by one", start: left.end, end: right.end, replacement: "" },
      ];
  }
  if (ts.isAwaitExpression(node)) return [place("await dropped", node, node, node.expression.getText(source))];
  if (ts.isCallExpression(node) && !node.arguments.some(ts.isSpreadElement)) {
    const texts = node.arguments.map((argument) => argument.getText(source));
    return texts.slice(1).flatMap((text, i) => {
      if (text === texts[i]) return [];
      return [place("arguments swapped", node.arguments[i], node.arguments[i + 1], `${text}, ${texts[i]}`)];
    });
  }
  if (ts.isIfStatement(node) && node.elseStatement === undefined && isThrow(node.thenStatement))
    // The check is not removed. Otherwise a name that only the check uses would be unused, and the code would not
    // compile.
    return [place("check missing", node.expression, node.expression, `(${node.expression.getText(source)}) && false`)];
  return [];
};

/**
 * @param {string} file decides whether the text may contain JSX
 * @param {string} text
 */
const placesInTypeScript = (file, text) => {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true);
  /** @type {Place[]} */
  const places = [];
  /** @param {ts.Node} node */
  const visit = (node) => {
    places.push(...placesOfNode(node, source));
    ts.forEachChild(node, visit);
  };
  visit(source);
  return places;
};

/** A rule for C++ has a pattern for a line, the number of the group that is replaced, and the replacement. */
const rulesOfCpp = [
  { kind: "comparison turned", finds: / (<=?|>=?|[=!]=) /dg, becomes: ([, sign]) => [turned[sign]] },
  { kind: "off by one", finds: /\w( [+-] 1)(?![\w.])/dg, becomes: ([, one]) => ["", one.replace("1", "2")] },
];
const rulesOfEdges = [
  ...rulesOfCpp.map((rule) => ({ ...rule, kind: "kernel's edge" })),
  { kind: "kernel's edge", finds: /\b(min)\((?!F32)/dg, becomes: () => ["max"] },
  { kind: "kernel's edge", finds: /\b(divideUp\((\w+), (\w+)\))/dg, becomes: ([, , a, b]) => [`(${a} / ${b})`] },
];

/** Bounds and tails of kernels are a separate kind of fault. All other C++ files have the same kinds as TypeScript. */
const isKernel = (file) => /^native\/(kernels|gemm)\//.test(file);

const placesInCpp = (file, text) => {
  const rules = isKernel(file) ? rulesOfEdges : rulesOfCpp;
  let start = 0;
  return text.split("\n").flatMap((line) => {
    const lineStart = start;
    start += line.length + 1;
    const code = line.replace(/\/\/.*$/, "");
    if (/^\s*(#|template\b|static_assert\b)/.test(code)) return [];
    return rules.flatMap(({ kind, finds, becomes }) =>
      [...code.matchAll(finds)].flatMap((match) => {
        const [from, to] = match.indices[1];
        return becomes(match).map((replacement) => ({
          kind,
          start: lineStart + from,
          end: lineStart + to,
          replacement,
        }));
      }),
    );
  });
};

/**
 * All places of a file.
 * @param {string} file its path, with "/"
 * @param {string} text
 * @returns {Place[]}
 */
export const placesIn = (file, text) =>
  file.startsWith("native/") ? placesInCpp(file, text) : placesInTypeScript(file, text);
