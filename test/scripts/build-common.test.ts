import { expect, test } from "vitest";

interface BuildCommon {
  sourcesUnder(folder: string, endings: readonly string[]): string[];
  withSlashes(path: string, separator: string): string;
}

// The import uses a URL, because the scripts have no types.
const script = new URL("../../scripts/build/common.mjs", import.meta.url).href;
const { sourcesUnder, withSlashes } = (await import(script)) as BuildCommon;

test("names sources with slashes, as the build compares them, whatever the platform's separator", () => {
  expect(withSlashes("src\\core\\tensors\\dtype.ts", "\\")).toBe("src/core/tensors/dtype.ts");
  expect(withSlashes("src/core/tensors/dtype.ts", "/")).toBe("src/core/tensors/dtype.ts");
});

test("finds sources in folders of folders, by their endings", () => {
  const sources = sourcesUnder("src", [".ts"]);
  expect(sources).toContain("src/index.ts");
  expect(sources).toContain("src/backend/implementations/native/native.node.ts");
  expect(sources).toEqual([...sources].sort());
  expect(sourcesUnder("native", [".h"]).filter((file) => !/^native\/([a-z]+\/)*[\w-]+\.h$/.test(file))).toEqual([]);
});
