import { expect, it } from "vitest";
import { createPrefixTree, type PrefixNode } from "#foretoken/engine/prefix-tree.js";

const owner = {};
const page = (first: number): number[] => Array.from({ length: 32 }, (_, i) => first + i);

const grown = () => {
  const freed: number[] = [];
  const tree = createPrefixTree((one) => freed.push(one));
  const a = tree.add(tree.current(owner), null, page(0), 10);
  const b = tree.add(tree.current(owner), a, page(100), 11);
  const c = tree.add(tree.current(owner), a, page(200).slice(0, 5), 12);
  return { freed, tree, a, b, c };
};

it("finds whole pages, and the page that goes on longest", () => {
  const { tree, a, b, c } = grown();
  const find = (ids: number[], most = ids.length) => tree.find(owner, ids, most);
  expect(find([...page(0), ...page(100), 7])).toEqual({ path: [a, b], part: null });
  expect(find([...page(0), 100, 101, 7])).toEqual({ path: [a], part: { node: b, rows: 2 } });
  expect(find([...page(0), ...page(200)])).toEqual({ path: [a], part: { node: c, rows: 5 } });
  expect(find([...page(0), ...page(200)], 35)).toEqual({ path: [a], part: { node: c, rows: 3 } });
  expect(find([0, 1, 2])).toEqual({ path: [], part: { node: a, rows: 3 } });
  expect(find([5])).toEqual({ path: [], part: null });
  expect(find(page(0), 31)).toEqual({ path: [], part: { node: a, rows: 31 } });
  expect(tree.find({}, page(0), 32)).toEqual({ path: [], part: null });
});

it("has a page of the same tokens once", () => {
  const { tree, a, b } = grown();
  expect(tree.add(tree.current(owner), a, page(100), 99)).toBe(b);
  expect(tree.add(tree.current(owner), null, page(0), 98)).toBe(a);
});

it("gives pages that nobody holds away, the one that was used longest ago first, and children before their parents", () => {
  const { tree, a, b, c } = grown();
  expect(tree.idle).toBe(0);
  expect(tree.takeOldest()).toBeUndefined();
  tree.release([c]);
  tree.hold([a]);
  tree.release([a, b]);
  expect(tree.idle).toBe(2);
  tree.release([a]);
  expect(tree.idle).toBe(3);
  tree.hold([a, b]);
  expect(tree.idle).toBe(1);
  tree.release([a, b]);
  expect([tree.takeOldest(), tree.takeOldest(), tree.takeOldest(), tree.takeOldest()]).toEqual([12, 11, 10, undefined]);
  expect(tree.find(owner, page(0), 32)).toEqual({ path: [], part: null });
});

it("forgets what weights that are others now have computed, and pages in use when they are let go of", () => {
  const { tree, freed, a, b, c } = grown();
  tree.release([c]);
  tree.forget(owner);
  expect(freed).toEqual([12]);
  expect(tree.find(owner, page(0), 32)).toEqual({ path: [], part: null });
  const late: PrefixNode = tree.add(tree.current(owner), b, page(300), 13);
  const fresh = tree.add(tree.current(owner), null, page(0), 14);
  expect(fresh).not.toBe(a);
  tree.release([a, b, late]);
  expect(freed).toEqual([12, 13, 11, 10]);
  tree.release([fresh]);
  expect(tree.idle).toBe(1);
});
