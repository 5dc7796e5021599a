/**
 * Starts ranks on this machine with Open MPI, each pinned to one core. If there are more ranks than cores, ranks share
 * cores. For TCP, the ranks have their own network namespace. The loopback of the namespace has the requested bandwidth
 * (tc's token bucket). The namespace belongs to the ranks' processes. The namespace always disappears when these
 * processes end, even after a crash.
 */
import { spawn, spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { hasMpi } from "../../dist/train/ranks/addon.node.js";
import { root } from "../../scripts/build/common.mjs";

/**
 * @typedef {{ readonly kind: "memory" | "tcp", readonly gigabits: number | null, readonly delayMicroseconds: number }}
 * Network gigabits: bandwidth of each rank in Gbit/s, in each of the two directions; null: not limited.
 */

export const cores = availableParallelism();

/** The reason why this machine cannot measure; undefined if it can. */
export const missing = () => {
  if (process.platform !== "linux") return "Linux is needed";
  if (!/open mpi/iu.test(spawnSync("mpirun", ["--version"], { encoding: "utf8" }).stdout ?? ""))
    return "Open MPI's mpirun is needed (Debian: openmpi-bin libopenmpi-dev)";
  if (!hasMpi()) return "the MPI addon is needed: npm run build:mpi";
  if (spawnSync("unshare", ["--net", "true"]).status !== 0) return "network namespaces are needed: run it as root";
  if (spawnSync("tc", ["-V"]).status !== 0) return "tc is needed (Debian: iproute2)";
  return undefined;
};

export const foretoken = join(root, "dist/cli/main.js");

// The first argument is the bandwidth of loopback in bit/s; 0 means no limit. The queue is longer than all TCP buffers,
// so that no packet is dropped.
const inNamespace = `
set -e
ip link set lo up
if [ "$1" != 0 ]; then tc qdisc add dev lo root tbf rate "$1bit" burst 512kb limit 268435456; fi
shift
exec "$@"
`;
const pinned = `exec taskset -c $((OMPI_COMM_WORLD_LOCAL_RANK % ${cores})) "$@"`;

const environment = {
  ...process.env,
  ...{ OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1", LC_ALL: "C.UTF-8" },
};

/** Running processes. They are ended when this process ends. */
const running = new Set();
let watches = false;
const endTogether = (child) => {
  if (!watches) {
    watches = true;
    process.once("exit", () => {
      for (const one of running) one.kill("SIGTERM");
    });
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));
  }
  running.add(child);
};

/** All ranks of a machine send through the same loopback, so its bandwidth is the sum over the ranks. */
const commandOf = (ranks, network, program) => {
  const transport = network.kind === "memory" ? ["vader,self"] : ["tcp,self", "--mca", "btl_tcp_if_include", "lo"];
  const started = ["mpirun", "--oversubscribe", "--bind-to", "none", "--mca", "pml", "ob1", "--mca", "btl"].concat(
    transport,
    ["-n", String(ranks), "bash", "-c", pinned, "rank", ...program],
  );
  if (network.kind === "memory") return started;
  const rate = network.gigabits === null ? 0 : Math.round(network.gigabits * ranks * 1e9);
  return ["unshare", "--net", "bash", "-c", inNamespace, "namespace", String(rate), ...started];
};

/**
 * Executes a program on all ranks. Resolves to the standard output of the ranks. Usually only rank 0 writes.
 * @param {number} ranks
 * @param {Network} network
 * @param {readonly string[]} program with its arguments.
 * @param {{ readonly cwd: string, readonly env?: Readonly<Record<string, string>>, readonly seconds: number }} place
 * seconds: time limit. After this time, all ranks are ended, and the promise rejects.
 * @returns {Promise<string>}
 */
export const runRanks = (ranks, network, program, { cwd, env = {}, seconds }) =>
  new Promise((resolve, reject) => {
    const [command, ...args] = commandOf(ranks, network, program);
    const child = spawn(command, args, {
      cwd,
      env: { ...environment, ...env, FORETOKEN_MPI_DELAY: String(network.delayMicroseconds) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    endTogether(child);
    let [output, errors] = ["", ""];
    child.stdout.on("data", (data) => {
      output += data;
    });
    child.stderr.on("data", (data) => {
      errors += data;
    });
    // At the time limit, the child process is mpirun, which has replaced unshare and bash. mpirun ends its ranks.
    const timer = setTimeout(() => child.kill("SIGTERM"), 1000 * seconds);
    child.on("error", reject);
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      running.delete(child);
      if (status === 0) resolve(output);
      else reject(new Error(`${ranks} ranks ended with ${status ?? signal}: ${errors.trim().slice(-2000)}`));
    });
  });

/** In words. */
export const networkName = ({ kind, gigabits, delayMicroseconds }) =>
  [
    kind === "memory" ? "shared memory" : gigabits === null ? "TCP" : `TCP ${gigabits} Gbit/s`,
    ...(delayMicroseconds > 0 ? [`${delayMicroseconds / 1000} ms`] : []),
  ].join(", ");
