import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { BackendChoice } from "#foretoken/backend/choices.node.js";
import { chooseNative, fasterDtypeOf, nativeInstructionSets } from "#foretoken/backend/instruction-sets.js";
import { describeBackends, openBackend } from "#foretoken/backend/select.node.js";
import { ConfigError, UnsupportedKernelError } from "#foretoken/core/errors/errors.js";
import type { DTypeChoice } from "#foretoken/core/tensors/dtype.js";

afterEach(() => vi.unstubAllEnvs());

const { backends } = await describeBackends();
const native = backends.find(({ name }) => name === "native");

test("every backend is described, best first, and auto takes the first that is there", async () => {
  const { backends, auto } = await describeBackends();
  expect(backends.map(({ name }) => name)).toEqual(["native", "wasm", "reference"]);
  expect(auto.name).toBe(backends.find(({ available }) => available)?.name);
  for (const backend of backends) {
    if (!backend.available) continue;
    const opened = await openBackend(backend.name);
    expect(opened.capabilities).toMatchObject({
      instructionSet: backend.instructionSet,
      threads: backend.threads,
    });
    await opened.close();
  }
});

test("without the native backend, auto takes WebAssembly and says why", async () => {
  vi.stubEnv("FORETOKEN_NO_NATIVE", "1");
  const { backends, auto } = await describeBackends();
  const reason = "native backend: the native kernels must not be hidden; got FORETOKEN_NO_NATIVE=1";
  expect(backends[0]).toEqual({ name: "native", available: false, reason });
  expect(auto).toEqual({ name: "wasm", why: `the fastest backend here (simd128); ${reason}` });
  await expect(openBackend("native")).rejects.toThrow(
    new UnsupportedKernelError({
      where: "native backend",
      must: "the native kernels must not be hidden",
      got: "FORETOKEN_NO_NATIVE=1",
    }),
  );
  const backend = await openBackend("auto", { threads: 1 });
  expect(backend.name).toBe("wasm");
  await backend.close();
});

test("an unknown backend is a clear error", async () => {
  await expect(openBackend("cuda" as BackendChoice)).rejects.toThrow(
    new ConfigError({ where: "backend", must: "must be one of auto, native, wasm, reference", got: "cuda" }),
  );
});

test("auto takes the dtype that is faster, float32 where nothing is said", async () => {
  for (const described of (await describeBackends()).backends) {
    if (!described.available) continue;
    for (const [asked, got] of [
      [undefined, "float32"],
      ["auto", described.fasterDtype],
      ["bfloat16", "bfloat16"],
    ] as const) {
      const backend = await openBackend(described.name, { dtype: asked, threads: 1 });
      expect(backend.capabilities.dtype, `${described.name}, ${asked}`).toBe(got);
      await backend.close();
    }
  }
});

test.for([
  ["amx", false, "bfloat16"],
  ["avx512bf16", true, "bfloat16"],
  ["avx512bf16", false, "float32"],
  ["avx512", true, "float32"],
] as const)("products by %s, with fast pairs: %s, are fastest in %s", ([set, pairsAreFast, dtype]) => {
  expect(fasterDtypeOf(set, pairsAreFast)).toBe(dtype);
});

test("an unknown dtype is a clear error", async () => {
  await expect(openBackend("auto", { dtype: "float16" as DTypeChoice })).rejects.toThrow(
    "dtype: must be auto, float32 or bfloat16; got float16",
  );
});

test.for([0, 1.5, -2, 257])("%d threads are refused by every backend that has threads", async (threads) => {
  await expect(openBackend("auto", { threads })).rejects.toThrow(/^threads: must be a whole number from 1 to 256/);
});

const kernelsOf = new URL("../../dist/backend/implementations/wasm/kernels.relaxed-simd.wasm", import.meta.url);
const isCompiled = existsSync(kernelsOf);

describe("the number of threads, where none is given", () => {
  const threadsOf = async (name: "native" | "wasm"): Promise<number> => {
    const backend = await openBackend(name);
    await backend.close();
    return backend.capabilities.threads;
  };
  const compiled = backends.flatMap(({ name, available }) => (available && name !== "reference" ? [name] : []));

  test.for(compiled)("is as many as the machine runs at a time, or FORETOKEN_THREADS: %s", async (name) => {
    vi.stubEnv("FORETOKEN_THREADS", undefined);
    expect(await threadsOf(name)).toBe(availableParallelism());
    vi.stubEnv("FORETOKEN_THREADS", "3");
    expect(await threadsOf(name)).toBe(3);
    const described = (await describeBackends()).backends.find((one) => one.name === name);
    expect(described).toMatchObject({ threads: 3 });
    const given = await openBackend(name, { threads: 2 });
    expect(given.capabilities.threads).toBe(2);
    await given.close();
  });

  test.for(["0", "257", "-1", "two", "1.5", "1000"])("is refused where the variable is %s", async (value) => {
    vi.stubEnv("FORETOKEN_THREADS", value);
    const must = "must be a whole number from 1 to 256";
    const error = new ConfigError({ where: "FORETOKEN_THREADS", must, got: `"${value}"`, hint: "leaving it out" });
    for (const name of compiled) await expect(openBackend(name)).rejects.toThrow(error);
    await expect(describeBackends()).rejects.toThrow(error);
  });

  test("is not looked at where one is given, also by auto", async () => {
    vi.stubEnv("FORETOKEN_THREADS", "none");
    for (const name of ["auto", ...compiled] as const) {
      const backend = await openBackend(name, { threads: 1 });
      expect(backend.capabilities.threads).toBe(1);
      await backend.close();
    }
  });
});

describe("an instruction set of WebAssembly", () => {
  const wasm = backends.find(({ name }) => name === "wasm");
  const relaxed = wasm?.available === true && wasm.instructionSets.includes("relaxed-simd");

  test("is simd128 unless told otherwise, also where FORETOKEN_ISA names a native one", async () => {
    vi.stubEnv("FORETOKEN_ISA", "baseline");
    const backend = await openBackend("wasm", { threads: 1 });
    expect(backend.capabilities.instructionSet).toBe("simd128");
    await backend.close();
  });

  test.skipIf(!relaxed)("relaxed-simd is taken by its name alone, and auto then takes WebAssembly", async () => {
    const byOption = await openBackend("auto", { threads: 2, instructionSet: "relaxed-simd" });
    expect(byOption).toMatchObject({ name: "wasm", capabilities: { instructionSet: "relaxed-simd", threads: 2 } });
    await byOption.close();
    vi.stubEnv("FORETOKEN_ISA", "relaxed-simd");
    const byVariable = await openBackend("auto", { threads: 1 });
    expect(byVariable).toMatchObject({ name: "wasm", capabilities: { instructionSet: "relaxed-simd" } });
    await byVariable.close();
    expect((await describeBackends()).auto.name).toBe("wasm");
  });

  test.skipIf(isCompiled)(
    "relaxed-simd that is not compiled is an error, and no other backend serves in its place",
    async () => {
      const message = /the requested instruction set must be compiled; got relaxed-simd; try simd128, or /u;
      await expect(openBackend("wasm", { instructionSet: "relaxed-simd" })).rejects.toThrow(message);
      vi.stubEnv("FORETOKEN_ISA", "relaxed-simd");
      await expect(openBackend("auto")).rejects.toThrow(message);
      await expect(describeBackends()).rejects.toThrow(message);
    },
  );

  test("that is unknown is a clear error", async () => {
    vi.stubEnv("FORETOKEN_ISA", "relaxed");
    await expect(openBackend("wasm")).rejects.toThrow(
      "FORETOKEN_ISA: must name an instruction set that this machine and this build support; got relaxed; try simd128",
    );
    await expect(openBackend("wasm", { instructionSet: "baseline" })).rejects.toThrow(ConfigError);
  });
});

test("the reference backend has no other instruction set than its own", async () => {
  await (await openBackend("reference", { instructionSet: "javascript" })).close();
  await expect(openBackend("reference", { instructionSet: "avx2" })).rejects.toThrow(
    "instructionSet: must name an instruction set that this machine and this build support; got avx2; try javascript",
  );
});

test("a set that is not compiled is named with the command that compiles it", () => {
  const notCompiled = { names: ["avx512", "avx2"], command: "node scripts/build/native.mjs" };
  const choose = (name: string) => chooseNative(["amx", "baseline"], { by: "FORETOKEN_ISA", name }, notCompiled);
  expect(choose("baseline")).toBe("baseline");
  expect(() => choose("avx2")).toThrow(
    "FORETOKEN_ISA: must name an instruction set that is compiled; got avx2; try amx, baseline, or FORETOKEN_BUILD_ISA=avx2 node scripts/build/native.mjs first",
  );
});

describe.skipIf(native?.available !== true)("FORETOKEN_ISA", () => {
  const sets = native?.available === true ? native.instructionSets : [];

  test.for(sets)("forces %s, and so does the option", async (set) => {
    expect(nativeInstructionSets).toContain(set);
    const byOption = await openBackend("native", { threads: 1, instructionSet: set });
    expect(byOption.capabilities.instructionSet).toBe(set);
    await byOption.close();
    vi.stubEnv("FORETOKEN_ISA", set);
    const byVariable = await openBackend("native", { threads: 1 });
    expect(byVariable.capabilities.instructionSet).toBe(set);
    await byVariable.close();
  });

  test.for(["simd128", "javascript"])("is refused by the native backend for %s, which another has", async (set) => {
    vi.stubEnv("FORETOKEN_ISA", set);
    await expect(openBackend("native")).rejects.toThrow(UnsupportedKernelError);
  });

  test.for(["auto", "native"] as const)(
    "with an unknown set fails for %s and names those there are",
    async (choice) => {
      vi.stubEnv("FORETOKEN_ISA", "mmx");
      const opening = openBackend(choice);
      await expect(opening).rejects.toThrow(ConfigError);
      await expect(opening).rejects.toThrow(`got mmx; try ${sets.join(", ")}`);
    },
  );
});
