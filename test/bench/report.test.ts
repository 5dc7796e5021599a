import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";

interface ReportSections {
  sections(results: object): Readonly<Record<string, string>>;
  fill(document: string, sections: Readonly<Record<string, string>>): string;
  floorOf(results: object, measurement: object, dtype: string): Readonly<Record<string, number>> | undefined;
}
interface Results {
  mergePart(earlier: object | undefined, later: object): { measurements: readonly Readonly<Record<string, unknown>>[] };
  resultsFile(machine: object): string;
  resultsText(value: object): string;
}

const path = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url));
// The import uses a URL, because the benchmarks have no types.
const { fill, floorOf, sections } = (await import(
  new URL("../../bench/lib/report-sections.mjs", import.meta.url).href
)) as ReportSections;
const { mergePart, resultsFile, resultsText } = (await import(
  new URL("../../bench/lib/results.mjs", import.meta.url).href
)) as Results;

const mebibyte = 2 ** 20;
const level = (size: number, rate: number) => ({ bytes: size * mebibyte, read: rate, write: rate, copy: rate });
const roofs = {
  instructionSet: "amx",
  float32: 400,
  dotBf16: 0,
  amxBf16: 4000,
  levels: [level(1, 200), level(8, 60), level(64, 20)],
};
const machine = { cpu: "Some(R) CPU", cores: 2, memoryBytes: 2 ** 33, system: "Linux", node: "v20.0.0" };
const step = (name: string, kind: string, dtype: string, times: readonly number[], dropout = 0) => ({
  ...{ name, kind, dtype, dropout, times },
  milliseconds: times[1],
  peakMemory: 100 * mebibyte,
  about: { parameters: 824_832, version: "9.9" },
});
const book = {
  name: "book",
  roofs,
  threads: 2,
  text: "some text",
  vocabSize: 65,
  model: { nLayer: 4, nHead: 4, nEmbd: 128, contextLength: 128 },
  batchSize: 32,
  rounds: 3,
  // The operations take 30 ms in float32, because each product is computed as six bfloat16 products. The same
  // operations take 5 ms in bfloat16. The memory's rate allows 40 ms.
  cost: { flops: 20e9, bytes: 800e6 },
  results: [
    step("foretoken native float32", "native", "float32", [90, 100, 110]),
    step("foretoken native float32 dropout 0.1", "native", "float32", [99, 110, 121], 0.1),
    step("foretoken native bfloat16", "native", "bfloat16", [20, 20, 20]),
    step("pytorch float32 sdpa", "pytorch", "float32", [180, 200, 220]),
    step("pytorch float32 plain", "pytorch", "float32", [270, 300, 330]),
    step("pytorch bfloat16 plain", "pytorch", "bfloat16", [80, 80, 80]),
  ],
};
const call = (kernel: string, count: number, milliseconds: number, leastMilliseconds: number, more = {}) => ({
  ...{ kernel, count, milliseconds, leastMilliseconds },
  ...{ flops: 0, read: 3e6, written: 1e6, peers: {} },
  ...more,
});
const kernels = {
  name: "book",
  dtype: "float32",
  backend: "native",
  roofs,
  results: [
    call("linearForward", 4, 10, 8, { flops: 3e9, product: { of: "forward" }, peers: { mkl: 9, openblas: 12 } }),
    call("linearForward", 1, 20, 10, { flops: 4e9, product: { of: "forward" }, peers: { mkl: 30 } }),
    call("adamStep", 1, 2, 1),
  ],
};
const results = { machine, train: { measurements: [book] }, kernels: { measurements: [kernels] } };

/** Cells of the row that begins with `first`. */
const rowOf = (text: string | undefined, first: string): readonly string[] => {
  const line = text?.split("\n").find((one) => one.startsWith(`| ${first} |`));
  expect(line, `no row ${first} in ${text}`).toBeDefined();
  return line?.slice(2, -2).split(" | ") ?? [];
};

it("compares a step with its floors and with PyTorch", () => {
  const float32 = floorOf(results, book, "float32");
  expect(float32?.arithmetic).toBeCloseTo(30);
  expect(float32?.bytes).toBeCloseTo(40);
  expect(float32?.kernels).toBeCloseTo(4 * 8 + 10 + 1);
  expect(float32).toMatchObject({ step: 100, peer: 200, now: 2 });
  expect(float32?.atMost).toBeCloseTo(20 / 3);
  // The comparison is with the best result, which uses tiles.
  const bfloat16 = floorOf(results, book, "bfloat16");
  expect(bfloat16?.arithmetic).toBeCloseTo(5);
  expect(bfloat16).toMatchObject({ step: 20, peer: 80, now: 4, kernels: Number.NaN });
  expect(bfloat16?.atMost).toBeCloseTo(16);
});

it("writes tables", () => {
  const { machine: about, training, floors, kernels: table, products, writing } = sections(results);
  expect(about).toContain("Some(R) CPU, 2 cores, 8 GiB");
  expect(about).toContain("| bfloat16, AMX tiles | 4,000 GFLOP/s |");
  expect(rowOf(training, "foretoken native float32").slice(1)).toEqual([
    ...["100", "90.0–110", "40,960", "100 MiB", "2.00×", "0.80× (0.73–0.89)"],
  ]);
  expect(training).toContain(
    "Dropout 0.1 on native in float32 changes the time of a step by +10.0% (from +10.0% to +10.0%).",
  );
  expect(rowOf(floors, "`book` float32").slice(-5)).toEqual(["43%", "200", "2.00×", "4.65×", "6.67×"]);
  expect(rowOf(table, "`linearForward`").slice(1)).toEqual([...["5", "60.0", "97%", "20.0", "0.333", "267", "70%"]]);
  expect(rowOf(table, "together").slice(1, 3)).toEqual(["6", "62.0"]);
  // The faster peer needs 4 × 9 + 30 ms, Foretoken 4 × 10 + 20 ms. The rates of the two programs are 300 and 200 of 667
  // GFLOP/s.
  expect(rowOf(products, "`book` float32").slice(1)).toEqual([
    ...["2", "267", "30%–45%", "mkl, openblas", "1.10×", "0.90×–1.50×", "1 of 2"],
  ]);
  expect(writing).toBe("Not measured.\n");
});

it("keeps what a later run did not measure again", () => {
  const { roofs: _, threads: __, ...one } = book;
  const first = mergePart(undefined, { machine, threads: 2, measurements: [one, { ...one, name: "baby" }] });
  const again = mergePart(first, { machine, threads: 1, measurements: [{ ...one, text: "again" }] });
  expect(again.measurements).toMatchObject([
    { name: "book", text: "again", threads: 1 },
    { name: "baby", text: "some text", threads: 2 },
  ]);
  expect(resultsFile(machine)).toMatch(/bench[\\/]results[\\/]some-cpu-2-cores\.json$/u);
});

it("are kept with a line for each row of figures", () => {
  const rows = Array.from({ length: 40 }, (_, i) => ({
    name: `row ${i}`,
    times: [i, i + 1],
    roofs: { levels: [{ i }] },
  }));
  const value = { machine: { cpu: "a" }, train: { measurements: [{ name: "book", results: rows, more: undefined }] } };
  const text = resultsText(value);
  expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
  expect(text.split("\n").filter((line) => line.includes("row "))).toHaveLength(40);
  expect(text.split("\n").length).toBeLessThan(60);
  expect(text).toContain('\n "machine": {"cpu":"a"},\n');
});

it("refuses a document that has no place for a section, or two", () => {
  const marks = "before\n<!-- bench:a -->\nold\n<!-- /bench:a -->\nafter\n";
  expect(fill(marks, { a: "new $& text\n" })).toBe(marks.replace("old", () => "new $& text"));
  expect(() => fill(marks, { b: "new\n" })).toThrow("must have one <!-- bench:b --> and <!-- /bench:b --> after it");
  expect(() => fill(marks + marks, { a: "new\n" })).toThrow("must have one <!-- bench:a -->");
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "foretoken-report-"));
});
afterEach(() => rmSync(folder, { recursive: true }));
const report = (...args: readonly string[]) =>
  spawnSync(process.execPath, [path("bench/report.mjs"), ...args], { encoding: "utf8" });

it("fills the page, and leaves its prose", () => {
  const [file, page] = [join(folder, "results.json"), join(folder, "performance.md")];
  writeFileSync(file, JSON.stringify(results));
  const prose = (text: string): string => text.replaceAll(/(<!-- bench:(\w+) -->).*?(<!-- \/bench:\2 -->)/gsu, "$1$3");
  const before = readFileSync(path("docs/performance.md"), "utf8");
  writeFileSync(page, before);
  const { status, stderr } = report(file, "--into", page);
  expect(status, stderr).toBe(0);
  const after = readFileSync(page, "utf8");
  expect(after).toContain("Some(R) CPU");
  expect(prose(after)).toBe(prose(before));
});

it("refuses in a line what is no file of results", () => {
  const file = join(folder, "results.json");
  writeFileSync(file, "{}");
  for (const [name, says] of [
    [file, "must be a file that npm run bench wrote"],
    [join(folder, "none.json"), "must be a readable file; npm run bench writes one"],
  ] as const) {
    const { status, stderr } = report(name);
    expect(status).toBe(2);
    expect(stderr).toBe(`${name}: ${says}\n`);
  }
});
