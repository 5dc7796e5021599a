import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { missingMpi, mpirun, mpiTitle } from "../support/mpi.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

interface Timed {
  readonly milliseconds: number;
  readonly sent: number;
}

describe.skipIf(missingMpi !== undefined)(mpiTitle("a rank of bench/sums.mjs"), () => {
  it.each([2, 4])("agrees with MPI's own sum and counts what it sends, on %s ranks", async (ranks) => {
    // There are four pieces, so each rank owns the same number of pieces.
    const floats = 2 ** 16;
    // The program ends with an error if the sums differ.
    const { status, stdout, stderr } = await mpirun(
      ["-n", String(ranks), process.execPath, "bench/ranks/sum-rank.mjs", String(floats), "2"],
      root,
    );
    expect(status, stderr).toBe(0);
    const { ours, polled } = JSON.parse(stdout) as { readonly ours: Timed[]; readonly polled: Timed[] };
    expect(ours.map(({ sent }) => sent)).toEqual(Array(2).fill(((2 * (ranks - 1)) / ranks) * 4 * floats));
    // MPI itself sends these messages.
    expect(polled.map(({ sent }) => sent)).toEqual([0, 0]);
  });
});
