import { spend } from "../budget.ts";
import type { Conjunction, Literal } from "./conjunction.ts";
import { refused } from "./document.ts";
import type { ArraySpec, Nodes, ValueNode } from "./value-node.ts";

let specs = 0;

export const arraySpec = (way: Conjunction, { nodeOf }: Nodes): ArraySpec => {
  const { schemas, minItems, maxItems, contains, unique } = way.array;
  const [condition, ...others] = contains;
  if (others.length > 0) throw refused(way.path, "contains", "must appear only once at one place");
  const leastCounted = condition?.least ?? 0;
  const alikeFrom = Math.max(0, ...schemas.map(({ first }) => first.length));
  const literals = (place: number): Literal[] => schemas.flatMap(({ first, rest }) => first[place] ?? rest ?? []);
  const own: ValueNode[] = [];
  const matching: ValueNode[] = [];
  const item = (place: number): ValueNode => {
    const at = Math.min(place, alikeFrom);
    own[at] ??= nodeOf(literals(at));
    return own[at];
  };
  const counted = (place: number): ValueNode => {
    const at = Math.min(place, alikeFrom);
    matching[at] ??= nodeOf([...literals(at), ...(condition === undefined ? [] : [condition.literal])]);
    return matching[at];
  };
  const where = `schema: ${way.path}`;
  const most = (): number => {
    spend(Math.min(maxItems, alikeFrom), where);
    for (let place = 0; place < Math.min(maxItems, alikeFrom); place++) if (!item(place).inhabited) return place;
    return maxItems <= alikeFrom || item(alikeFrom).inhabited ? maxItems : alikeFrom;
  };
  const countable = (from: number): number => {
    const end = most();
    spend(Math.max(0, Math.min(end, alikeFrom) - from), where);
    let count = 0;
    for (let place = from; place < Math.min(end, alikeFrom); place++) if (counted(place).inhabited) count++;
    const alike = end - Math.max(from, alikeFrom);
    return alike > 0 && counted(alikeFrom).inhabited ? count + alike : count;
  };
  return {
    id: specs++,
    minItems,
    maxItems: most,
    leastCounted,
    alikeFrom,
    unique,
    item,
    counted,
    countable,
    isPossible: () => {
      if (unique && leastCounted === 0 && alikeFrom === 0 && maxItems > 1) {
        const { texts } = item(0);
        return minItems <= Math.min(most(), texts.length);
      }
      return minItems <= most() && leastCounted <= (leastCounted === 0 ? 0 : countable(0));
    },
    missing: () => {
      const place = most();
      const [first] = literals(Math.min(place, alikeFrom));
      return minItems > place && place < maxItems && first !== undefined
        ? { path: first.path, node: item(place) }
        : null;
    },
    reach: () => {
      const last = Math.min(alikeFrom, maxItems - 1);
      for (let place = 0; place <= last; place++) {
        item(place);
        if (leastCounted > 0) counted(place);
      }
      if (!unique || maxItems <= 1) return;
      const { numbers, strings, arrays, objects, texts } =
        last >= 0 ? item(0) : { numbers: [], strings: [], arrays: [], objects: [], texts: [] };
      // Counts the cost of the sets of used values. There is one set for each written item.
      spend(texts.length ** 2, where);
      if (leastCounted > 0 || alikeFrom > 0 || numbers.length + strings.length + arrays.length + objects.length > 0) {
        throw refused(way.path, "uniqueItems", "must apply to an array of listed values (enum)");
      }
    },
  };
};
