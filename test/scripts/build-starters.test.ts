import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
// The import uses a URL, because the scripts have no types.
const { starterSources, toJavaScript } = (await import(
  new URL("../../scripts/build/starters.mjs", import.meta.url).href
)) as {
  starterSources(): readonly string[];
  toJavaScript(source: string, names: readonly string[]): Promise<string>;
};

const typeScript = `// As main.ts has it.
import type { A } from "a";
import { type B, c, type D } from "b";
import { own } from "./own.ts";

/** Goes with its comment. */
interface Options {
  readonly size?: number;
}

type Kind = "a" | "b";

/** Stays. */
export const first = <Item extends object>(items: readonly Item[], at?: number): Item | undefined => items[at ?? 0];

const sizes: Readonly<Record<Kind, number>> = { a: 1, b: 2 };
let later: Promise<Map<string, number>> | undefined;

export class Box {
  constructor(options: Options) {
    this.size = options.size ?? sizes.a; // in pixels
  }
  size: number;

  async read(kind: Kind): Promise<void> {
    later = Promise.resolve(new Map<string, number>());
    const colon = kind === "a" ? "a: b" : ("c as d" as string);
    await c(own<Kind>(kind), colon satisfies string);
  }
}
`;

const javaScript = `// As main.js has it.
import { c } from "b";
import { own } from "./own.js";

/** Stays. */
export const first = (items, at) => items[at ?? 0];

const sizes = { a: 1, b: 2 };
let later;

export class Box {
  constructor(options) {
    this.size = options.size ?? sizes.a; // in pixels
  }
  size;

  async read(kind) {
    later = Promise.resolve(new Map());
    const colon = kind === "a" ? "a: b" : "c as d";
    await c(own(kind), colon);
  }
}
`;

test("types go, and comments, empty lines and all else stay", async () => {
  expect(await toJavaScript(typeScript, ["main.ts", "own.ts"])).toBe(javaScript);
});

describe("the starters in JavaScript", () => {
  const options = { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext, removeComments: true };
  /** The compiler's output for a program. Types, comments and layout are removed. */
  const compiled = (source: string, fileName: string): string =>
    ts
      .transpileModule(source, { fileName, compilerOptions: { ...options, allowJs: true } })
      .outputText.replaceAll(", }", " }");

  test.each(starterSources())("%s is the same program as its TypeScript", (path) => {
    const source = readFileSync(join(root, path), "utf8").replaceAll(/\b(\w+)\.ts\b/gu, "$1.js");
    const made = readFileSync(join(root, path.replace(/^templates/u, "dist/starters").replace(/ts$/u, "js")), "utf8");
    expect(compiled(made, "a.js")).toBe(compiled(source, "a.ts"));
  });
});
