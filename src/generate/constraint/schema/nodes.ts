import type { CharSet } from "../automata/char-set.ts";
import { partitionOf, rangeOf } from "../automata/partition.ts";
import { spend } from "../budget.ts";
import { arraySpec } from "./arrays.ts";
import { type Literal, types } from "./conjunction.ts";
import { refused, schemaDocument } from "./document.ts";
import { normalizer } from "./normalize.ts";
import { objectSpec } from "./objects.ts";
import { listedValues, numberTexts, stringTexts } from "./strings.ts";
import type { Nodes, ValueNode } from "./value-node.ts";

/** Maximum number of different places of a schema. */
const mostNodes = 20_000;

/** Whether a vocabulary can write all characters of a text. */
export const isSpellable = (text: string, alphabet: CharSet): boolean => {
  const { partition, members } = partitionOf([alphabet]);
  const inside = new Set(members[0]);
  return Array.from(text).every((char) =>
    inside.has(partition.classes[rangeOf(partition, char.codePointAt(0) ?? 0)] ?? -1),
  );
};

/**
 * The node of a whole schema, with all nodes below it.
 * @throws ConfigError if the schema has a keyword without effect, is too large, or allows no value.
 */
export const schemaNodes = (schema: unknown, alphabet: CharSet): ValueNode => {
  const { waysOf, keyOf } = normalizer(schemaDocument(schema));
  const nodes = new Map<string, ValueNode>();
  const waiting: ValueNode[] = [];
  const nodeOf = (literals: readonly Literal[]): ValueNode => {
    const key = keyOf(literals);
    const known = nodes.get(key);
    if (known !== undefined) return known;
    if (nodes.size >= mostNodes) {
      throw refused(literals[0]?.path ?? "#", "", `must have at most ${mostNodes} different places`, "more");
    }
    spend(800, `schema: ${literals[0]?.path ?? "#"}`);
    const ways = waysOf(literals);
    const found: Nodes = { nodeOf, waysOf, alphabet };
    const spelled = (text: string): boolean => isSpellable(text, alphabet);
    const node: ValueNode = {
      id: nodes.size,
      texts: [...new Set(ways.flatMap(listedValues))].filter(spelled),
      numbers: [...new Set(ways.flatMap((way) => (way.values === null ? (numberTexts(way) ?? []) : [])))],
      strings: spelled('"')
        ? ways.flatMap((way) => (way.values === null ? (stringTexts(way, alphabet) ?? []) : []))
        : [],
      arrays: spelled("[],")
        ? ways
            .filter((way) => way.values === null && (way.types & types.array) !== 0)
            .map((way) => arraySpec(way, found))
        : [],
      objects: spelled('{}",:')
        ? ways
            .filter((way) => way.values === null && (way.types & types.object) !== 0)
            .map((way) => objectSpec(way, found))
        : [],
      inhabited: false,
    };
    nodes.set(key, node);
    waiting.push(node);
    return node;
  };
  const root = nodeOf([{ schema, holds: true, path: "#" }]);
  const all: ValueNode[] = [];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    all.push(node);
    for (const { reach } of [...node.arrays, ...node.objects]) reach();
  }
  // This loop finds the least fixed point, because a value that must contain itself is never finite.
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of all.toReversed()) {
      if (node.inhabited) continue;
      spend(2, "schema: #");
      node.inhabited =
        node.texts.length + node.numbers.length + node.strings.length > 0 ||
        node.arrays.some((array) => array.isPossible()) ||
        node.objects.some((object) => object.isPossible());
      changed ||= node.inhabited;
    }
  }
  return root;
};

/**
 * The place in the schema that no value can meet. The result is the innermost place that makes the whole schema
 * impossible.
 * @param root a node that allows no value.
 */
export const emptyPlace = (root: ValueNode): string => {
  const seen = new Set<ValueNode>();
  let [node, place] = [root, "#"];
  while (!seen.has(node)) {
    seen.add(node);
    const parts = [...node.objects, ...node.arrays].map((one) => one.missing());
    const [part] = parts;
    if (part === undefined || part === null || parts.includes(null)) break;
    ({ node, path: place } = part);
  }
  return place;
};
