import { describe, expect, test } from "vitest";
import { onRanks } from "#foretoken/cli/commands/info.js";
import { pages, readPage } from "./support/pages.ts";

interface Snippet {
  /** The path of a source file, after the language: ```ts src/ops/swiglu.ts */
  readonly source: string | undefined;
  /**
   * The test that runs the block. A comment before the block, in the same section, names it: <!-- test/a.test.ts runs
   * this block. -->
   */
  readonly runner: string | undefined;
  readonly code: string;
}

/** The code blocks of a page in this project's languages. */
const snippetsOf = (page: string): Snippet[] => {
  let runner: string | undefined;
  return [...page.matchAll(/^<!-- (test\/\S+) runs |^#{1,3} |^```(\w*) ?(\S*)\n([\s\S]*?)^```$/gm)].flatMap(
    ([whole, test, language = "", source = "", code = ""]) => {
      if (!whole.startsWith("```")) {
        // A heading ends the section to which the comment applies.
        runner = test;
        return [];
      }
      if (!["ts", "js", "mjs", "cpp", "cc"].includes(language)) return [];
      return [{ source: source === "" ? undefined : source, runner, code }];
    },
  );
};

const oneSpace = (text: string): string => text.replaceAll(/\s+/g, " ").trim();

/**
 * The first part of a snippet that the text does not contain in this order. Lines that contain only `…` separate the
 * parts.
 */
const missingPart = (code: string, text: string): string | undefined => {
  const whole = oneSpace(text);
  let from = 0;
  for (const part of code.split(/^\s*…\s*$/m).map(oneSpace)) {
    const at = whole.indexOf(part, from);
    if (at < 0) return part;
    from = at + part.length;
  }
  return undefined;
};

interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Names of all packages that npm installs with `name`, including `name`. */
const installedWith = (
  locked: Readonly<Record<string, LockedPackage>>,
  name: string,
  found = new Set<string>(),
): ReadonlySet<string> => {
  if (found.has(name)) return found;
  found.add(name);
  const { dependencies, optionalDependencies } = locked[name === "" ? "" : `node_modules/${name}`] ?? {};
  for (const needed of Object.keys({ ...dependencies, ...optionalDependencies }))
    if (`node_modules/${needed}` in locked) installedWith(locked, needed, found);
  return found;
};

test("the library's page names the packages that are installed, and their number", async () => {
  const { packages } = JSON.parse(await readPage("package-lock.json")) as {
    readonly packages: Readonly<Record<string, LockedPackage>>;
  };
  const direct = Object.keys(packages[""]?.dependencies ?? {});
  const named = direct.filter((name) => !name.startsWith("@huggingface/"));
  const words = ["three", "ten"];
  const counts = [direct.length - named.length, installedWith(packages, "").size - 1 - direct.length];
  expect(counts, "libraries of Hugging Face, and what they need").toEqual([3, 10]);
  expect(oneSpace(await readPage("docs/reference/library.md"))).toContain(
    `\`npm install\` installs ${installedWith(packages, "").size} packages: this one, ${named.map((name) => `\`${name}\``).join(", ")}, ${words[0]} libraries of Hugging Face and ${words[1]} packages that these libraries need.`,
  );
});

test("info and the page on MPI start ranks by the same command", async () => {
  expect(await readPage("docs/cluster.md")).toContain(`mpirun -n 4 ${onRanks()} --data`);
});

describe.each(pages)("%s", (page) => {
  test("quotes its sources word by word", async () => {
    for (const { source, code } of snippetsOf(await readPage(page))) {
      if (source === undefined) continue;
      expect(missingPart(code, await readPage(source)), `quoted from ${source}, and not in it`).toBeUndefined();
    }
  });

  test("has no code that is neither quoted from a source nor run by a test", async () => {
    for (const { source, runner, code } of snippetsOf(await readPage(page))) {
      expect(source ?? runner, code).toBeDefined();
      if (source !== undefined || runner === undefined) continue;
      expect(await readPage(runner), `${runner} reads ${page}`).toContain(page);
    }
  });
});

test("a quotation differs where a word does, or where parts change places, and not where lines break", () => {
  const text = "const a = 1;\n  const b = 2;\nconst c = 3;\n";
  expect(missingPart("const a = 1; const b = 2;\n", text)).toBeUndefined();
  expect(missingPart("const a = 1;\n…\nconst c = 3;\n", text)).toBeUndefined();
  expect(missingPart("const a = 2;\n", text)).toBe("const a = 2;");
  expect(missingPart("const c = 3;\n…\nconst a = 1;\n", text)).toBe("const a = 1;");
});

test("a page's blocks are found with their sources and their tests", () => {
  const page =
    "<!-- test/a.test.ts runs this block. -->\n```ts\na\n```\n\n# Next\n```cpp native/b.h\nb\n```\n```sh\nc\n```\n";
  expect(snippetsOf(page)).toEqual([
    { source: undefined, runner: "test/a.test.ts", code: "a\n" },
    { source: "native/b.h", runner: undefined, code: "b\n" },
  ]);
});
