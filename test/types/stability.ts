/** Stability of exports. docs/stability.md lists the experimental exports, and says how an export is deprecated. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { checker, entries, exportsOf, root } from "./library.ts";

const exported = [...new Set(Object.values(entries).flatMap(exportsOf))];

/** The text of a tag in an export's own docstring. Undefined if the docstring does not have the tag. */
const tagOf = (symbol: ts.Symbol, tag: string): string | undefined => {
  const found = symbol.getJsDocTags(checker).find(({ name }) => name === tag);
  return found === undefined ? undefined : ts.displayPartsToString(found.text);
};

/** `since 0.3.0: use` and a name in backticks, or `since 0.3.0: nothing replaces it`. */
const deprecation = /^since \d+\.\d+\.0: (?:use `\w+`|nothing replaces it)/u;

describe("docs/stability.md", () => {
  it("lists the exports whose docstrings have @experimental, and no other name", async () => {
    const page = await readFile(join(root, "docs/stability.md"), "utf8");
    const list = /<!-- test\/types\/stability.ts .*-->([\s\S]*)<!-- The list ends here/u.exec(page)?.[1] ?? "";
    const names = [...list.matchAll(/`(\w+)`/gu)].map(([, name]) => name as string);
    const tagged = exported.filter((symbol) => tagOf(symbol, "experimental") !== undefined);
    // `WorkerModel` is stable, except for some of its members.
    expect(names.filter((name) => name !== "WorkerModel").sort()).toEqual(tagged.map(({ name }) => name).sort());
    expect(names.length).toBeLessThan(exported.length / 2);
  });

  it("is followed by each deprecated export: it names a version and a replacement, and is in the changelog", async () => {
    const changelog = await readFile(join(root, "CHANGELOG.md"), "utf8");
    const told = [...changelog.matchAll(/^### Deprecated\n([\s\S]*?)(?=^##|(?![\s\S]))/gmu)].map(([, text]) => text);
    const deprecated = exported.flatMap((symbol) => {
      const text = tagOf(symbol, "deprecated");
      return text === undefined ? [] : [{ name: symbol.name, text }];
    });
    expect(deprecated.filter(({ text }) => !deprecation.test(text))).toEqual([]);
    expect(deprecated.filter(({ name }) => !told.join().includes(`\`${name}\``))).toEqual([]);
  });

  it.each([
    ["since 0.3.0: use `train`", true],
    ["since 0.3.0: nothing replaces it, since every model has one", true],
    ["since 0.3.1: use `train`", false],
    ["use `train`", false],
    ["since 0.3.0", false],
  ])("%s is the form of a deprecation: %s", (text, good) => {
    expect(deprecation.test(text)).toBe(good);
  });
});
