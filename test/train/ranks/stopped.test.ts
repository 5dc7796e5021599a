import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { localRanks } from "#foretoken/train/ranks/stopped.node.js";

let proc = "";
beforeAll(async () => {
  proc = await mkdtemp(join(tmpdir(), "foretoken-proc-"));
});
afterAll(() => rm(proc, { recursive: true }));

/** Describes a process as Linux does in /proc. */
const add = async (pid: number, parent: number, rank: number | undefined, state = "S", size = 4): Promise<void> => {
  const folder = join(proc, String(pid));
  await mkdir(folder);
  await writeFile(join(folder, "stat"), `${pid} (a name) T 7) ${state} ${parent} 1 1 0 -1 4194560 0 0\n`);
  const own = rank === undefined ? "" : `OMPI_COMM_WORLD_RANK=${rank}\0OMPI_COMM_WORLD_SIZE=${size}\0`;
  await writeFile(join(folder, "environ"), `PATH=/bin=\0${own}HOME=/\0`);
};

it("ranks of this machine are all that descend from the launcher, with the process that is stopped", async () => {
  await add(1, 0, undefined);
  await add(10, 1, undefined);
  await add(20, 10, 0);
  // A shell started this rank. Another process of this shell is stopped.
  await add(21, 10, 1);
  await add(31, 21, 1, "T");
  await add(41, 21, 1, "R");
  // A debugger has stopped this rank.
  await add(22, 10, 2, "t");
  // The launcher has one child process that is not a rank. Other launchers have ranks, too.
  await add(23, 10, undefined, "T");
  await add(11, 1, undefined);
  await add(24, 11, 3, "T");
  await add(25, 10, 3, "T", 8);
  await mkdir(join(proc, "sys"));
  const ranks = [
    { rank: 0, stopped: undefined },
    { rank: 1, stopped: 31 },
    { rank: 2, stopped: undefined },
  ];
  expect(localRanks({ rank: 0, size: 4 }, 20, proc)).toEqual(ranks);
  // The result is the same for a child process of the shell.
  expect(localRanks({ rank: 1, size: 4 }, 41, proc)).toEqual(ranks);
});

it("nothing is known where the system does not tell", () => {
  expect(localRanks({ rank: 0, size: 4 }, 20, join(proc, "missing"))).toEqual([]);
});
