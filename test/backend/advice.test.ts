/**
 * A package without native kernels, on a machine that could use native kernels. Programs and commands report this once.
 */
import { spawn } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { adviceFor } from "#foretoken/backend/advice.js";
import type { ChosenBackend } from "#foretoken/cli/flags/backend-choice.js";
import { outcomeOf } from "../outcome-of.ts";
import { type PackageCopy, packageWithoutNative } from "../support/package-without-native.ts";
import { wordsText } from "../support/runs.ts";

let copy: PackageCopy;
beforeAll(async () => {
  copy = await packageWithoutNative();
  await writeFile(join(copy.folder, "words.txt"), wordsText("advice", 200));
});
afterAll(() => copy.remove());

/** Whether native kernels exist for this kind of machine. */
const canBeBuilt = process.platform !== "win32" && ["x64", "arm64"].includes(process.arch);
const slower = "backend wasm: several times slower than native kernels";
const builds = `${slower}; to build them with a C++ compiler: node `;

interface Choosing {
  readonly chooseBackend: (flags: { readonly backend: string }) => Promise<ChosenBackend>;
}

test("advice on native kernels is given to who wants relaxed-simd, where they would run", () => {
  const [missing, there] = [
    () => ({ advice: "slower; build them", loads: false }),
    () => ({ advice: undefined, loads: true }),
  ];
  const relaxed = { by: "FORETOKEN_ISA", name: "relaxed-simd" } as const;
  expect(adviceFor(undefined, missing)).toBe("slower; build them");
  expect(adviceFor(relaxed, missing)).toBe(
    "slower; build them; they are used if you remove FORETOKEN_ISA=relaxed-simd",
  );
  expect(adviceFor(relaxed, there)).toBe(
    "several times slower than native kernels, which are used if you remove FORETOKEN_ISA=relaxed-simd",
  );
  expect(adviceFor(relaxed, () => ({ advice: undefined, loads: false }))).toBeUndefined();
  // The program chose this backend by name, or because its results have the same bits everywhere.
  expect(adviceFor({ ...relaxed, by: "instructionSet" }, there)).toBeUndefined();
  expect(adviceFor({ ...relaxed, name: "simd128" }, there)).toBeUndefined();
});

describe.skipIf(!canBeBuilt)(`the advice${canBeBuilt ? "" : ": this kind of machine has no native kernels"}`, () => {
  beforeEach(() => {
    vi.stubEnv("FORETOKEN_NO_NATIVE", undefined);
    vi.stubEnv("FORETOKEN_ISA", undefined);
  });
  afterEach(() => vi.unstubAllEnvs());

  const remarkOn = async (backend = "auto"): Promise<string | undefined> => {
    const { chooseBackend }: Choosing = await import(copy.address("cli/flags/backend-choice.js"));
    return (await chooseBackend({ backend })).remark;
  };
  const builder = (): string => relative(process.cwd(), join(copy.folder, "scripts/build/native.mjs"));

  test("names the command that builds the native kernels", async () => {
    expect(await remarkOn()).toBe(builds + builder());
  });

  test.each([
    ["by name", "wasm", {}],
    ["by FORETOKEN_NO_NATIVE", "auto", { FORETOKEN_NO_NATIVE: "1" }],
    ["by an instruction set", "auto", { FORETOKEN_ISA: "simd128" }],
  ])("is not given to a user who has chosen WebAssembly %s", async (_, backend, env) => {
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    expect(await remarkOn(backend)).toBeUndefined();
  });

  test("stays the same where an instruction set of native kernels is asked for", async () => {
    vi.stubEnv("FORETOKEN_ISA", "baseline");
    expect(await remarkOn()).toBe(builds + builder());
  });

  test("says why a library that is there does not load", async () => {
    const file = `backend/implementations/native/foretoken.${process.platform}-${process.arch}.node`;
    const path = fileURLToPath(copy.address(file));
    await writeFile(path, "no library");
    try {
      expect(await remarkOn()).toMatch(
        new RegExp(`^${slower}; native backend: the addon must load; got [^\\n]+$`, "u"),
      );
    } finally {
      await rm(path);
    }
  });

  test("names the package with native kernels, where there is one for this machine", async () => {
    const name = `@some/native-${process.platform}-${process.arch}`;
    await copy.nameNative(name);
    try {
      expect(await remarkOn()).toBe(`${slower}; to install them (package ${name}): npm install --include=optional`);
    } finally {
      await copy.nameNative(undefined);
    }
  });
});

const node = (...args: readonly string[]) =>
  outcomeOf(
    spawn(process.execPath, args, {
      cwd: copy.folder,
      env: { ...process.env, FORETOKEN_NO_NATIVE: "", FORETOKEN_ISA: "" },
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );

/** The whole notice, in the copy's folder. */
const line = canBeBuilt ? [`${builds}${join("scripts", "build", "native.mjs")}`] : [];
const model = { nLayer: 1, nHead: 1, nEmbd: 8, contextLength: 8 };

test("a command says it in a line on standard error, and not in its report", async () => {
  const flags = Object.entries(model).flatMap(([name, value]) => [`--model.${name}`, String(value)]);
  const run = ["--data", "words.txt", "--preset", "quick", "--steps", "1", "--train.sampleTokens", "0", ...flags];
  const { status, stdout, stderr } = await node(fileURLToPath(copy.address("cli/main.js")), "train", ...run);
  expect({ status, stderr }).toEqual({ status: 0, stderr: line.map((one) => `${one}\n`).join("") });
  expect(stdout).toContain(canBeBuilt ? " the fastest that is installed" : " native backend: it must be built");
  expect(stdout).not.toContain("several times slower");
});

/** Trains and loads models with options that do not choose the backend. Prints the notices. */
const program = (options: string, workers: readonly boolean[], loads: readonly string[]): string => `
  import { loadInWorker, loadPretrained, openBackend, train } from "${copy.address("index.js")}";
  process.on("warning", ({ name, code, message }) => console.log("warning", name, code, message));
  const options = ${options};
  const config = ${JSON.stringify({ model, train: { steps: 1, batchSize: 2, sampleTokens: 0 } })};
  const run = { data: "words.txt", preset: "quick", config, finalSampleTokens: 0, ...options };
  let files;
  for (const worker of ${JSON.stringify(workers)})
    for await (const _ of train({ ...run, out: null, worker, onCheckpoint: (saved) => void (files = saved) }));
  for (const load of [${loads.join()}]) await (await load(files, options)).close();
  await (await openBackend("auto")).close();
`;

test.each([
  ["a warning of the process", "warning ForetokenWarning FORETOKEN_NO_NATIVE_KERNELS", "{}", [true], ["loadInWorker"]],
  [
    "its callback for notices",
    "notice",
    '{ onNotice: (line) => console.log("notice", line) }',
    [false, false],
    ["loadPretrained", "loadInWorker"],
  ],
])("a program is told once, by %s", async (_, prefix, options, workers, loads) => {
  const { status, stdout } = await node("--input-type=module", "-e", program(options, workers, loads));
  expect({ status, stdout }).toEqual({ status: 0, stdout: line.map((one) => `${prefix} ${one}\n`).join("") });
});

test("each thread of a program is told once, and none that the library starts", async () => {
  const told = `process.on("warning", ({ code, message }) => console.log(code, message));`;
  const uses = `for (const _ of [1, 2]) await (await openBackend("auto")).close();`;
  const library = JSON.stringify(copy.address("index.js"));
  await writeFile(join(copy.folder, "thread.mjs"), `import { openBackend } from ${library};\n${told}\n${uses}\n`);
  const main = `
    import { once } from "node:events";
    import { Worker } from "node:worker_threads";
    import { train } from ${library};
    ${told}
    const config = ${JSON.stringify({ model, train: { steps: 1, batchSize: 2, sampleTokens: 0 } })};
    for await (const _ of train({ data: "words.txt", preset: "quick", config, finalSampleTokens: 0, out: null }));
    await once(new Worker("./thread.mjs", { execArgv: [] }), "exit");
  `;
  const { status, stdout } = await node("--input-type=module", "-e", main);
  const expected = line.map((one) => `FORETOKEN_NO_NATIVE_KERNELS ${one}\n`).join("");
  expect({ status, stdout }).toEqual({ status: 0, stdout: expected.repeat(2) });
});
