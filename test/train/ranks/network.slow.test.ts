/**
 * Two machines, with the real mpirun over TCP. One machine loses its network. The machines are two network namespaces
 * on this machine. Each namespace has its own host name. The test disconnects the virtual cable between them.
 */
import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tinyWith, workplace } from "../../cli/cli.ts";
import { expectGone, missingMpi, ours, processesWith, startMpirun, trainOn, variableOf } from "../../support/mpi.ts";

interface Host {
  readonly name: string;
  readonly cable: string;
  readonly address: string;
}

const hosts = ["a", "b"].map((letter, i) => ({
  name: `ft${process.pid}${letter}`,
  cable: `c${process.pid}${letter}`,
  address: `10.91.7.${i + 1}`,
})) as [Host, Host];
const ip = (...args: readonly string[]): boolean => spawnSync("ip", args).status === 0;

/** Creates both machines and the cable. */
const connect = ([a, b]: readonly [Host, Host]): boolean =>
  hosts.every(({ name }) => ip("netns", "add", name)) &&
  ip("link", "add", a.cable, "netns", a.name, "type", "veth", "peer", "name", b.cable, "netns", b.name) &&
  hosts.every(
    ({ name, cable, address }) =>
      ip("-n", name, "addr", "add", `${address}/24`, "dev", cable) &&
      ip("-n", name, "link", "set", cable, "up") &&
      ip("-n", name, "link", "set", "lo", "up") &&
      spawnSync("unshare", ["-u", "true"]).status === 0,
  );

const removeHosts = (): void => {
  for (const { name } of hosts) ip("netns", "del", name);
};

const missing = missingMpi ?? (connect(hosts) ? undefined : "no right to make network namespaces");
if (missing !== undefined) removeHosts();

const mark = randomUUID();
const variable = "FORETOKEN_TEST_LIFE";

let place: Awaited<ReturnType<typeof workplace>>;
beforeAll(async () => {
  place = await workplace();
});
afterAll(async () => {
  // The test kills Open MPI's daemons, because they wait for a network that does not come back.
  for (const pid of processesWith(variable, mark)) process.kill(pid, "SIGKILL");
  removeHosts();
  await place.remove();
});

/** The beginning of a shell command that runs another command on a machine. */
const on = ({ name }: Host): string => `ip netns exec ${name} unshare -u bash -c 'hostname ${name}; exec "$@"' bash`;

describe.skipIf(missing !== undefined)(
  `a machine that loses its network${missing === undefined ? "" : ` (${missing})`}`,
  () => {
    it("ends all ranks, on both sides, with a line that names the first that is silent", async () => {
      const [a, b] = hosts;
      // Replaces ssh. The arguments are a host's name and a shell command.
      const agent = join(place.cwd, "agent.sh");
      await writeFile(agent, `#!/bin/bash\nshift\nexec ${on(b)} bash -c "$*"\n`);
      await chmod(agent, 0o755);
      const subnet = "10.91.7.0/24";
      const args = [
        ...["--mca", "plm_rsh_agent", agent, "--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", subnet],
        ...["--mca", "oob_tcp_if_include", subnet, "--host", `${a.address}:2,${b.address}:2`, "-x", variable],
        ...trainOn(4, [
          ...tinyWith(
            ...["--backend", "native", "--train.gradAccumSteps", "4", "--patience", "0", "--steps", "100000"],
            ...["--eval-interval", "50", "--checkpoint-interval", "10", "--train.sampleTokens", "0"],
          ),
          ...["--json", "--out", "run"],
        ]),
      ];
      let ranks: readonly number[] = [];
      const started = startMpirun(
        args,
        place.cwd,
        (stdout) => {
          if (ranks.length > 0 || !stdout.includes('"type":"checkpoint"')) return;
          ranks = processesWith(variable, mark).filter((pid) => variableOf(pid, "OMPI_COMM_WORLD_RANK") !== undefined);
          ip("-n", a.name, "link", "set", a.cable, "down");
        },
        { [variable]: mark },
        ["bash", "-c", `exec ${on(a)} mpirun "$@"`, "bash"],
      );
      await expect.poll(() => ranks, { timeout: 60_000 }).toHaveLength(4);
      await expectGone(ranks);
      // mpirun waits for the daemon of the other machine.
      for (const pid of processesWith(variable, mark)) process.kill(pid, "SIGKILL");
      const { stderr } = await started.outcome;
      expect(ours(stderr)).toEqual([
        expect.stringMatching(/^foretoken: rank 3 of 4: must give a sign of life every second; got none for \d+ s$/),
      ]);
      const state = await readFile(join(place.cwd, "run/checkpoint/trainer_state.json"), "utf8");
      expect(JSON.parse(state)).toHaveProperty("progress.step");
    });
  },
);
