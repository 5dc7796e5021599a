/** Names in code that a user reads. If a name belongs to this project, the user must be able to import it. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type ts from "typescript";
import { describe, expect, it } from "vitest";
import {
  entries,
  exportsOf,
  literalsOf,
  ownDeclaration,
  ownNames,
  placeOf,
  publicSymbols,
  root,
  wholeDocOf,
} from "./library.ts";

/** The pages for users of the library. Other pages describe how the library works inside. */
const pages = ["README.md", "docs/browser.md", "docs/security.md", "docs/stability.md"];

const ours = ownNames();
const exported = Object.fromEntries(
  Object.entries(entries).map(([name, entry]) => [name, new Set(exportsOf(entry).map((symbol) => symbol.name))]),
);
const symbols = Object.fromEntries(Object.entries(entries).map(([name, entry]) => [name, publicSymbols(entry)]));

/** Keys in files. Constants in the code have the same names. */
const keysOfFiles = ["formatVersion"];

/** Fields, parameters, and the string values that they accept. */
const memberNames = (list: readonly ts.Symbol[]): ReadonlySet<string> =>
  new Set([...list.map(({ name }) => name), ...literalsOf(list)]);

/** Identifiers in code, alone or in a call, such as `train` and `train({ text })`. */
const namesIn = (text: string): readonly string[] =>
  [...text.matchAll(/`([A-Za-z]\w*)(?:\([^`]*\))?`/gu)].map(([, name]) => name as string);

/** This project's names in `text` that the user cannot import. Fields and parameters are not included. */
const hidden = (text: string, visible: ReadonlySet<string>, members: ReadonlySet<string>): readonly string[] =>
  namesIn(text).filter((name) => ours.has(name) && !visible.has(name) && !members.has(name));

describe.each(Object.keys(entries))("docstrings of %s", (entry) => {
  const own = symbols[entry] ?? [];
  const visible = exported[entry] ?? new Set();
  const members = memberNames(own);

  it("name in code only what can be imported, and fields", () => {
    expect(own.length).toBeGreaterThan(300);
    expect(own.some((symbol) => namesIn(wholeDocOf(symbol)).includes("defaultPreset"))).toBe(true);
    const found = own.flatMap((symbol) => {
      const declaration = ownDeclaration(symbol);
      const place = declaration === undefined ? "" : placeOf(declaration);
      return hidden(wholeDocOf(symbol), visible, members).map((name) => `${place} ${symbol.name}: ${name}`);
    });
    expect(found).toEqual([]);
  });

  it("a name that is not exported is found", () => {
    expect(ours.has("parseFacts")).toBe(true);
    expect(hidden("see `parseFacts`, `train({ text })` and `nLayer`", visible, members)).toEqual(["parseFacts"]);
  });
});

describe.each(pages)("%s", (page) => {
  it("names in code only what can be imported, and fields", async () => {
    const text = await readFile(join(root, page), "utf8");
    const prose = text.replace(/^```[\s\S]*?^```/gmu, "");
    const visible = new Set(Object.values(exported).flatMap((names) => [...names]));
    const members = new Set([...memberNames(Object.values(symbols).flat()), ...keysOfFiles]);
    expect(hidden(prose, visible, members)).toEqual([]);
  });

  it("imports in its blocks what there is", async () => {
    const text = await readFile(join(root, page), "utf8");
    const imports = [...text.matchAll(/^import \{([^}]*)\} from "(foretoken(?:\/browser)?)";$/gmu)];
    for (const [, names = "", entry = ""] of imports) {
      const wanted = names.split(",").map((name) => name.replace(/^\s*(?:type )?|\s+as .*$/gu, "").trim());
      expect([...(exported[entry] ?? [])]).toEqual(expect.arrayContaining(wanted.filter((name) => name !== "")));
    }
  });
});
