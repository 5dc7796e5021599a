import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

type Sources = ReadonlyMap<string, string>;
interface Place {
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}
interface Change {
  readonly snippet: string;
  readonly becomes: string;
}
interface Fault extends Change {
  readonly id: string;
  readonly kind: string;
  readonly file: string;
  readonly later?: readonly Change[];
}
interface DrawOptions {
  readonly seed: number;
  readonly count: number;
  readonly least: Readonly<Record<string, number>>;
  readonly rejected: readonly Fault[];
  readonly refusal: (file: string, text: string) => Promise<string | undefined>;
  readonly onRefused: (fault: Fault & { readonly reason: string }) => void;
}

const folder = new URL("../../scripts/checks/planted-faults/", import.meta.url);
const { drawFaults } = (await import(new URL("draw.mjs", folder).href)) as {
  drawFaults: (sources: Sources, options: DrawOptions) => Promise<Fault[]>;
};
const { importsOf, nearestTests } = (await import(new URL("nearest.mjs", folder).href)) as {
  importsOf: (file: string, text: string) => string[];
  nearestTests: (file: string, sources: Sources, tests: Sources) => string[];
};
const { kinds, placesIn } = (await import(new URL("places.mjs", folder).href)) as {
  kinds: readonly string[];
  placesIn: (file: string, text: string) => Place[];
};
const { locate, planted, snippetOf } = (await import(new URL("sources.mjs", folder).href)) as {
  locate: (sources: Sources, fault: Fault) => { readonly file: string; readonly change: Change };
  planted: (text: string, change: Change) => string;
  snippetOf: (sources: Sources, file: string, place: Place) => { snippet: string; becomes: string };
};

const counter = `export const next = async (at: number, top: number): Promise<number> => {
  if (at < 0) throw new Error("too low");
  await rest(at, top);
  return at + 1;
};
`;
const kernel = `void clear(float* to, int64_t n) {
  for (int64_t i = 0; i < min(n, 8); i++) to[i] = 0;
}
`;
const sources = new Map([
  ["native/kernels/clear.h", kernel],
  ["src/core/counter.ts", counter],
  ["web/run/counter.ts", counter.replaceAll("at", "from")],
]);

describe("places of faults", () => {
  const changed = (file: string, text: string): string[] =>
    placesIn(file, text).map(({ start, end, replacement }) => text.slice(0, start) + replacement + text.slice(end));

  it("are comparisons, numbers that count, awaits, arguments and checks of TypeScript", () => {
    expect(changed("src/core/counter.ts", counter)).toEqual([
      counter.replace("if (at < 0)", "if ((at < 0) && false)"),
      counter.replace("at < 0", "at <= 0"),
      counter.replace("await rest", "rest"),
      counter.replace("rest(at, top)", "rest(top, at)"),
      counter.replace("at + 1", "at + 2"),
      counter.replace("at + 1", "at"),
    ]);
  });

  it("are bounds and tails of kernels", () => {
    expect(changed("native/kernels/clear.h", kernel)).toEqual([
      kernel.replace("i < min", "i <= min"),
      kernel.replace("min(", "max("),
    ]);
  });
});

describe("a draw", () => {
  const draw = (seed: number, options: Partial<DrawOptions> = {}): Promise<Fault[]> =>
    drawFaults(sources, {
      ...{ seed, count: kinds.length, least: {}, rejected: [] },
      refusal: async () => undefined,
      onRefused: () => {},
      ...options,
    });

  it("is the same for the same seed", async () => {
    expect(await draw(1)).toEqual(await draw(1));
    expect(await draw(1)).not.toEqual(await draw(2));
  });

  it("has the kinds in turn, and the fewest of an area", async () => {
    const faults = await draw(3, { count: 8, least: { native: 1, web: 6 } });
    expect(faults.map(({ kind }) => kind)).toEqual([...kinds, ...kinds.slice(0, 2)]);
    expect(faults.filter(({ file }) => file.startsWith("web/")).length).toBeGreaterThanOrEqual(6);
  });

  it("passes over a rejected fault, and leaves the others as they were", async () => {
    const first = await draw(5);
    const second = await draw(5, { rejected: first.slice(0, 1) });
    expect(second[0]).not.toEqual(first[0]);
    expect(second.slice(1)).toEqual(first.slice(1));
  });

  it("rejects what does not compile, with the reason", async () => {
    const refused: string[] = [];
    const faults = await draw(6, {
      refusal: async (_file, text) => (text.includes("<=") ? "no such comparison" : undefined),
      onRefused: ({ reason }) => refused.push(reason),
      count: 1,
    }).catch((error: Error) => error.message);
    expect(faults).toBe("comparison turned: no place left");
    expect(new Set(refused)).toEqual(new Set(["no such comparison"]));
  });
});

describe("a drawn fault", () => {
  const text = "const a = 1;\nuse(a);\nconst b = 2;\nuse(a);\n";
  const start = text.lastIndexOf("a)");
  const place = { start, end: start + 1, replacement: "b" };
  const made = {
    id: "f01",
    kind: "any",
    file: "src/a.ts",
    ...snippetOf(new Map([["src/a.ts", text]]), "src/a.ts", place),
  };

  it("has as many lines as no other place has", () => {
    expect(made.snippet).toBe("const b = 2;\nuse(a);");
    expect(planted(text, made)).toBe("const a = 1;\nuse(a);\nconst b = 2;\nuse(b);\n");
  });

  it("is found where its lines or its file were moved", () => {
    const fileOf = (files: Readonly<Record<string, string>>): string =>
      locate(new Map(Object.entries(files)), made).file;
    expect(fileOf({ "src/a.ts": `// New.\n${text}` })).toBe("src/a.ts");
    expect(fileOf({ "src/a.ts": "// Another.\n", "src/b/c.ts": text })).toBe("src/b/c.ts");
    expect(fileOf({ "src/b/c.ts": text.replace(/^/gm, "    ") })).toBe("src/b/c.ts");
  });

  it("is found where its lines were worded anew, if the list says how", () => {
    const change = { snippet: "const c = 2;\nuse(a);", becomes: "const c = 2;\nuse(c);" };
    const anew = text.replace("const b", "const c");
    const found = locate(new Map([["src/a.ts", anew]]), { ...made, later: [change] });
    expect(found).toEqual({ file: "src/a.ts", change });
    expect(planted(`  ${anew}`, found.change)).toBe("  const a = 1;\nuse(a);\nconst c = 2;\nuse(c);\n");
  });

  it("must have one place", () => {
    expect(() =>
      locate(
        new Map([
          ["src/b.ts", text],
          ["web/c.ts", text],
        ]),
        made,
      ),
    ).toThrow("f01: its lines, once in src/a.ts, are in several places: src/b.ts, web/c.ts");
    expect(() => locate(new Map([["src/a.ts", text + text]]), made)).toThrow("src/a.ts has its lines 2 times");
    expect(() => locate(new Map([["src/a.ts", "use(a);\n"]]), made)).toThrow("were not found");
  });
});

describe("the tests near a file", () => {
  it("are those that import it, the fewest steps first, and no slow ones", () => {
    const files = new Map([
      ["src/core/low.ts", ""],
      ["src/core/types.ts", 'import type { Low } from "./low.ts";\n'],
      ["src/data/high.ts", 'import {\n  low,\n} from "../core/low.ts";\n'],
    ]);
    const tests = new Map([
      ["test/a/high.test.ts", 'import { high } from "#foretoken/data/high.js";\n'],
      ["test/core/low.test.ts", 'import { low } from "../support/low.ts";\n'],
      ["test/core/low.slow.test.ts", 'import { low } from "#foretoken/core/low.js";\n'],
      ["test/core/types.test.ts", 'import { types } from "#foretoken/core/types.js";\n'],
      ["test/support/low.ts", 'export { low } from "#foretoken/core/low.js";\n'],
    ]);
    expect(nearestTests("src/core/low.ts", files, tests)).toEqual(["test/core/low.test.ts", "test/a/high.test.ts"]);
  });

  it("are reached through programs and workers, too", () => {
    expect(importsOf("test/cli/cli.ts", 'new URL("../../dist/cli/main.js", import.meta.url)')).toEqual([
      "src/cli/main.ts",
    ]);
    expect(importsOf("src/worker/pool.ts", 'new URL("./entry.node.js", import.meta.url)')).toEqual([
      "src/worker/entry.node.ts",
    ]);
  });
});

it("the list has 30 faults of all kinds and areas", () => {
  const { faults } = JSON.parse(readFileSync(new URL("faults.json", folder), "utf8"));
  const drawn: readonly Fault[] = faults;
  const of = (area: string): number => drawn.filter(({ file }) => file.startsWith(`${area}/`)).length;
  expect(new Set(drawn.map(({ id }) => id)).size).toBe(30);
  expect(drawn.map(({ kind }) => kind)).toEqual(drawn.map((_, i) => kinds[i % kinds.length]));
  expect(of("native")).toBeGreaterThanOrEqual(5);
  expect(of("web")).toBeGreaterThanOrEqual(3);
  for (const fault of drawn) expect(planted(`${fault.snippet}\n`, fault), fault.id).not.toBe(`${fault.snippet}\n`);
});
