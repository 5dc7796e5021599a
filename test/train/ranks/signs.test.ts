import { describe, expect, it } from "vitest";
import { openBackend } from "#foretoken/backend/select.node.js";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { createSigns, rankTimeout } from "#foretoken/train/ranks/signs.node.js";
import type { LocalRank } from "#foretoken/train/ranks/stopped.node.js";

describe("the longest silence of a rank", () => {
  it.each([
    [undefined, 8],
    ["", 8],
    ["0", 0],
    ["3", 3],
    ["600", 600],
  ])("FORETOKEN_RANK_TIMEOUT=%s is %i seconds", (given, seconds) => {
    expect(rankTimeout({ FORETOKEN_RANK_TIMEOUT: given })).toBe(seconds);
  });

  it.each(["soon", "2", "-1", "8.5", "1e3", "9999999"])("FORETOKEN_RANK_TIMEOUT=%s is refused", (given) => {
    expect(() => rankTimeout({ FORETOKEN_RANK_TIMEOUT: given })).toThrow(ConfigError);
  });
});

/** The functions of the MPI addon that heartbeats use, together with the shared counters. */
const mpiWith = (shared: Int32Array, ended: string[] = []) => ({
  signs: () => shared,
  endProcess: (line: string) => void ended.push(line),
});

describe("signs of a rank", () => {
  it("count kernel calls", async () => {
    const shared = new Int32Array(4);
    const signs = createSigns(mpiWith(shared), {});
    const inner = await openBackend("reference");
    const backend = signs.counted(inner);
    const storage = backend.alloc("float32", 4);
    const before = shared[0] ?? Number.NaN;
    for (let i = 0; i < 5; i++) backend.run("fill", { y: { storage, offset: 0 }, n: 4, value: i });
    // All calls are in one turn of the event loop, so no timer fires between them.
    expect(shared[0]).toBe(before + 5);
    expect(await inner.read(storage)).toEqual(new Float32Array(4).fill(4));
    signs.end();
    await backend.close();
  });

  it("count the turns of the event loop", async () => {
    const shared = new Int32Array(4);
    const signs = createSigns(mpiWith(shared), {});
    await expect.poll(() => shared[0], { timeout: 10_000 }).toBeGreaterThan(0);
    signs.end();
  });

  it("are watched only after they were learned", () => {
    const shared = new Int32Array(4);
    const signs = createSigns(mpiWith(shared), { FORETOKEN_RANK_TIMEOUT: "20" });
    signs.watch();
    expect([...shared]).toEqual([1, 0, 20, 0]);
    signs.learn();
    expect(shared[1]).toBe(1);
    signs.watch();
    expect(shared[1]).toBe(2);
    signs.end();
    expect(shared[1]).toBe(0);
  });

  it("look at the other ranks at once while MPI begins, and not when it carries heartbeats", () => {
    const looks: number[] = [];
    const env = { OMPI_COMM_WORLD_RANK: "1", OMPI_COMM_WORLD_SIZE: "2" };
    const ranksHere = ({ rank }: { readonly rank: number }): readonly LocalRank[] => {
      looks.push(rank);
      return [];
    };
    const ended: string[] = [];
    for (const phase of [0, 1, 2]) createSigns(mpiWith(Int32Array.of(0, 0, 0, phase), ended), env, ranksHere).end();
    // Phases 1 and 2.
    expect(looks).toEqual([1, 1]);
    expect(ended).toEqual([]);
  });
});
