import { describe, expect, it } from "vitest";
import type { LocalRank } from "#foretoken/train/ranks/stopped.node.js";
import { type Look, mpiPhase, watchWithoutHeartbeats } from "#foretoken/train/ranks/without-heartbeats.node.js";

const { carrying, beginning, ending } = mpiPhase;

/** Ranks 0, 1, … on one machine. Some of the ranks are stopped. */
const ranksHere = (size: number, stopped: readonly number[]): readonly LocalRank[] =>
  Array.from({ length: size }, (_, rank) => ({ rank, stopped: stopped.includes(rank) ? 1000 + rank : undefined }));

/** The first line that a rank reports if it checks twice per second, and the time of this line in seconds. */
const firstLine = (look: Look, phase: number, until = 100, from = 0): [number, string] | undefined => {
  for (let now = from; now <= until; now += 0.5) {
    const line = look(phase, 1000 * now);
    if (line !== undefined) return [now, line];
  }
  return undefined;
};

describe("a rank that is stopped while MPI carries no heartbeats", () => {
  it.each([
    [0, 7],
    // Ranks with a higher number wait longer. So rank 0 can report the stopped rank first.
    [2, 9],
    [3, 9],
  ])("is named by rank %i after %i s", (rank, seconds) => {
    const look = watchWithoutHeartbeats({ rank, size: 4 }, 8, () => ranksHere(4, [1]));
    const line = `rank 1 of 4: must give a sign of life every second; got none for ${seconds} s: process 1001 is stopped`;
    expect(firstLine(look, beginning)).toEqual([seconds, line]);
  });

  it("is named by the first one left", () => {
    const look = watchWithoutHeartbeats({ rank: 1, size: 4 }, 3, () => ranksHere(4, [0]));
    expect(firstLine(look, ending)).toEqual([
      2,
      expect.stringMatching(/^rank 0 of 4: .* none for 2 s: process 1000 /u),
    ]);
  });

  it("is not named if it is continued in time, nor while heartbeats tell, nor with no limit", () => {
    let stopped = [1];
    const look = watchWithoutHeartbeats({ rank: 0, size: 2 }, 8, () => ranksHere(2, stopped));
    expect(firstLine(look, beginning, 6)).toBeUndefined();
    stopped = [];
    expect(look(beginning, 6500)).toBeUndefined();
    stopped = [1];
    expect(firstLine(look, beginning, 13, 7)).toBeUndefined();
    expect(firstLine(look, carrying, 100, 13.5)).toBeUndefined();
    const endless = watchWithoutHeartbeats({ rank: 0, size: 2 }, 0, () => ranksHere(2, [1]));
    expect(firstLine(endless, beginning, 1000)).toBeUndefined();
  });

  it("is not named by a rank that was stopped itself, with the whole job, until that time has passed again", () => {
    let stopped = [1];
    const look = watchWithoutHeartbeats({ rank: 0, size: 2 }, 8, () => ranksHere(2, stopped));
    expect(firstLine(look, beginning, 1)).toBeUndefined();
    expect(firstLine(look, beginning, 1006, 1000)).toBeUndefined();
    stopped = [];
    expect(firstLine(look, beginning, 1050, 1006.5)).toBeUndefined();
  });
});

describe("a rank of which nothing is known, and that does not come", () => {
  it("ends the others after a minute, or after what is set if that is longer", () => {
    const alone = (seconds: number): Look => watchWithoutHeartbeats({ rank: 2, size: 4 }, seconds, () => []);
    const line = (what: string, seconds: number): string =>
      `rank 2 of 4: ${what}; got no answer from at least one for ${seconds} s; try FORETOKEN_RANK_TIMEOUT=0 to wait for ever`;
    expect(firstLine(alone(8), beginning)).toEqual([60, line("must be joined by all other ranks", 60)]);
    expect(firstLine(alone(90), ending)).toEqual([90, line("must leave MPI together with all other ranks", 90)]);
    expect(firstLine(alone(0), beginning, 1000)).toBeUndefined();
  });
});
