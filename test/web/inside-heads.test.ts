import { expect, it } from "vitest";
import { isQuick } from "../../web/inside/heads/quick.ts";

it("measures each head at once in a small model, and not before it is asked in a large one or on a long text", () => {
  const shape = (nLayer: number, nHead: number, parameters: number) => ({
    ...{ nLayer, nHead, parameters, contextLength: 1024, vocabSize: 100 },
    ...{ isCausal: true, tieEmbeddings: true },
  });
  const small = shape(6, 6, 10_600_000);
  expect(isQuick(small, 48)).toBe(true);
  expect(isQuick(small, 256)).toBe(false);
  expect(isQuick(shape(30, 9, 134_500_000), 5)).toBe(false);
});
