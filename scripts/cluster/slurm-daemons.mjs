// Slurm on this machine only. The script starts the daemons in a separate folder, and does not change a system service.
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { hostname, userInfo } from "node:os";
import { join } from "node:path";
import { output, start, until } from "./runs.mjs";

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });

const configOf = (folder, [controllerPort, nodePort], cpus) => `
ClusterName=foretoken
SlurmctldHost=${hostname()}(127.0.0.1)
SlurmUser=${userInfo().username}
SlurmdUser=${userInfo().username}
AuthType=auth/munge
AuthInfo=socket=${folder}/munge/socket,cred_expire=10
SlurmctldPort=${controllerPort}
SlurmdPort=${nodePort}
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
MailProg=/bin/true
SlurmdParameters=config_overrides
NodeName=${hostname()} NodeAddr=127.0.0.1 CPUs=${cpus} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`;

/**
 * Starts Slurm with one node of `cpus` cores, even if the machine has fewer.
 * @returns the environment for Slurm's commands, the versions, and a function that ends the daemons.
 */
export const startSlurm = async (folder, cpus) => {
  for (const name of ["munge", "state", "spool"]) mkdirSync(join(folder, name), { mode: 0o755 });
  const [munge, config] = [join(folder, "munge"), join(folder, "slurm.conf")];
  writeFileSync(join(munge, "key"), randomBytes(128), { mode: 0o400 });
  writeFileSync(config, configOf(folder, [await freePort(), await freePort()], cpus));
  const env = { ...process.env, SLURM_CONF: config };
  const daemons = [];
  const stop = async () => {
    // The daemon that started last ends first, because it then contacts the other daemons.
    for (const { ended, kill } of daemons.reverse()) {
      kill("SIGTERM");
      await ended;
    }
  };
  try {
    const files = ["key", "pid", "log", "seed"].map((name) => `--${name}-file=${join(munge, name)}`);
    files.push(`--socket=${join(munge, "socket")}`);
    daemons.push(start(["munged", "--foreground", "--force", ...files], { env }));
    daemons.push(start(["slurmctld", "-D", "-f", config], { env }));
    daemons.push(start(["slurmd", "-D", "-f", config], { env }));
    const log = () => daemons.map(({ stderr }) => stderr.slice(-1000)).join("\n");
    const isIdle = async () =>
      (await start(["sinfo", "--noheader", "--format=%T"], { env }).ended).stdout.trim() === "idle";
    await until("an idle node", isIdle, 60).catch((error) => {
      throw new Error(`${error.message}\n${log()}`);
    });
    const version = (await output(["sinfo", "--version"], { env })).trim();
    return { env, version, stop };
  } catch (error) {
    await stop();
    throw error;
  }
};
