import { expect, test } from "vitest";
import type { StudioInfo } from "#foretoken/serve/studio/protocol.js";
import { useStudio } from "./studio.ts";

const advice = "several times slower than native kernels";
const advised = useStudio({ advice });
const plain = useStudio();

test("names the backend, its threads, and how to get a faster one if it was told", async () => {
  for (const [page, told] of [
    [advised, advice],
    [plain, null],
  ] as const) {
    const { backend } = (await page.get<StudioInfo>("info")).body;
    expect(backend).toEqual({ name: "wasm", instructionSet: "simd128", threads: 1, advice: told });
  }
});
