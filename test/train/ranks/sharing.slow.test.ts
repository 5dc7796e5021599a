/**
 * The native code for sums over ranks, with real ranks. The code is compiled with the address sanitizer and the
 * undefined-behaviour sanitizer.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { missingMpi, mpirun, mpiTitle } from "../../support/mpi.ts";

const sanitizing = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

const findMissing = (): string | undefined => {
  if (missingMpi !== undefined) return missingMpi;
  const source = "int main() { return 0; }";
  const tried = spawnSync("mpicxx", [...sanitizing, "-x", "c++", "-", "-o", "/dev/null"], { input: source });
  return tried.status === 0 ? undefined : "mpicxx has no sanitizers";
};
const missing = findMissing();

describe.skipIf(missing !== undefined)(
  missing === undefined ? mpiTitle("sums over ranks") : `sums (${missing})`,
  () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "foretoken-sharing-"));
      const strict = ["-std=c++20", "-O1", "-g1", "-Wall", "-Wextra", "-Werror"];
      const source = "native/test/sharing_mpi_test.cc";
      execFileSync("mpicxx", [...strict, ...sanitizing, source, "-o", join(folder, "sharing")]);
    });
    afterAll(() => rm(folder, { recursive: true }));

    it.each([1, 2, 4, 8])("have the bits of the tree on %i ranks", async (ranks) => {
      // MPI itself does not free all its memory.
      const args = ["-n", String(ranks), "-x", "ASAN_OPTIONS=detect_leaks=0", join(folder, "sharing")];
      const { status, stdout, stderr } = await mpirun(args, folder);
      expect(status, stdout + stderr).toBe(0);
      expect(stdout).toContain(`100 arrays on ${ranks} ranks`);
    });
  },
);
