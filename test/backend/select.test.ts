import { afterEach, describe, expect, test, vi } from "vitest";
import type { BackendChoice } from "#foretoken/backend/select.node.js";
import { describeBackends, openBackend } from "#foretoken/backend/select.node.js";
import type { DTypeChoice } from "#foretoken/core/dtype.js";
import { ConfigError, UnsupportedKernelError } from "#foretoken/core/errors.js";

afterEach(() => vi.unstubAllEnvs());

const native = (await describeBackends()).backends.find(({ name }) => name === "native");

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
  const reason = "native backend: it must not be hidden; got FORETOKEN_NO_NATIVE=1";
  expect(backends[0]).toEqual({ name: "native", available: false, reason });
  expect(auto).toEqual({ name: "wasm", why: `the fastest backend here (simd128); ${reason}` });
  await expect(openBackend("native")).rejects.toThrow(
    new UnsupportedKernelError({
      where: "native backend",
      must: "it must not be hidden",
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

test("an unknown dtype is a clear error", async () => {
  await expect(openBackend("auto", { dtype: "float16" as DTypeChoice })).rejects.toThrow(
    "dtype: must be auto, float32 or bfloat16; got float16",
  );
});

test.for([0, 1.5, -2, 257])("%d threads are refused by every backend that has threads", async (threads) => {
  await expect(openBackend("auto", { threads })).rejects.toThrow(/^threads: must be a whole number from 1 to 256/);
});

describe.skipIf(native?.available !== true)("FORETOKEN_ISA", () => {
  const sets = native?.available === true ? native.instructionSets : [];

  test.for(sets)("forces %s", async (set) => {
    vi.stubEnv("FORETOKEN_ISA", set);
    const backend = await openBackend("native", { threads: 1 });
    expect(backend.capabilities.instructionSet).toBe(set);
    await backend.close();
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
