import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freeMemory, freeMemoryFrom, type ReadSmallFile } from "#foretoken/core/system/available-memory.node.js";

const GiB = 2 ** 30;
const MiB = 2 ** 20;

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "foretoken-test-"));
});
afterEach(() => rm(root, { recursive: true }));

/** Writes files of /proc and /sys into a folder. Then reads the available memory from this folder. */
const tree = async (files: Readonly<Record<string, string>>): Promise<ReadSmallFile> => {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return (path) => {
    try {
      return readFileSync(join(root, path), "utf8");
    } catch {
      return undefined;
    }
  };
};

const meminfo = (available: number): string =>
  `MemTotal:       24684084 kB\nMemFree:         1002820 kB\nMemAvailable:   ${available / 1024} kB\nBuffers:           12236 kB\n`;

const unified = (folder: string, limit: number | "max", used: number, more: Readonly<Record<string, string>> = {}) => ({
  [`/sys/fs/cgroup${folder}/memory.max`]: `${limit}\n`,
  [`/sys/fs/cgroup${folder}/memory.high`]: "max\n",
  [`/sys/fs/cgroup${folder}/memory.current`]: `${used}\n`,
  [`/sys/fs/cgroup${folder}/memory.stat`]: "anon 1000\nfile 2000\ninactive_file 0\nslab_reclaimable 0\n",
  ...Object.fromEntries(Object.entries(more).map(([name, text]) => [`/sys/fs/cgroup${folder}/${name}`, text])),
});

describe("free memory", () => {
  it("is what the machine has where no container is", async () => {
    const read = await tree({ "/proc/meminfo": meminfo(10 * GiB), "/proc/self/cgroup": "0::/\n" });
    expect(freeMemoryFrom(read)).toEqual({ bytes: 10 * GiB, container: null });
    await rm(join(root, "proc/self"), { recursive: true });
    expect(freeMemoryFrom(read)).toEqual({ bytes: 10 * GiB, container: null });
  });

  it("is unknown without MemAvailable", async () => {
    expect(freeMemoryFrom(() => undefined)).toBeUndefined();
    expect(freeMemoryFrom(await tree({ "/proc/meminfo": "MemTotal: 5 kB\n" }))).toBeUndefined();
  });

  it("keeps the limit of a container of version 2, less what it holds and cannot give back", async () => {
    const read = await tree({
      "/proc/meminfo": meminfo(10 * GiB),
      "/proc/self/cgroup": "0::/user.slice/run-1.scope\n",
      ...unified("/user.slice/run-1.scope", 4 * GiB, 1 * GiB, {
        "memory.stat": `anon 1\ninactive_anon 7\ninactive_file ${100 * MiB}\nactive_file 9\nslab_reclaimable ${20 * MiB}\n`,
      }),
    });
    expect(freeMemoryFrom(read)).toEqual({ bytes: 3 * GiB + 120 * MiB, container: 4 * GiB });
  });

  it("takes memory.high, above which everything is slowed down, for a limit too", async () => {
    const read = await tree({
      "/proc/meminfo": meminfo(10 * GiB),
      "/proc/self/cgroup": "0::/a\n",
      ...unified("/a", 8 * GiB, 1 * GiB, { "memory.high": `${2 * GiB}\n` }),
    });
    expect(freeMemoryFrom(read)).toEqual({ bytes: 1 * GiB, container: 2 * GiB });
  });

  it("keeps the least of all levels, and of the machine", async () => {
    const files = {
      "/proc/meminfo": meminfo(10 * GiB),
      "/proc/self/cgroup": "0::/outer/inner\n",
      ...unified("/outer", 3 * GiB, 2 * GiB),
      ...unified("/outer/inner", 4 * GiB, 1 * GiB),
    };
    expect(freeMemoryFrom(await tree(files))).toEqual({ bytes: 1 * GiB, container: 3 * GiB });
    const full = { ...files, "/proc/meminfo": meminfo(GiB / 2) };
    expect(freeMemoryFrom(await tree(full))).toEqual({ bytes: GiB / 2, container: null });
  });

  it("finds the limit of a container that sees its own group as the root", async () => {
    const read = await tree({
      "/proc/meminfo": meminfo(10 * GiB),
      "/proc/self/cgroup": "0::/kubepods/pod1/container2\n",
      ...unified("", 2 * GiB, 1 * GiB),
    });
    expect(freeMemoryFrom(read)).toEqual({ bytes: 1 * GiB, container: 2 * GiB });
  });

  it("reads groups of version 1, whose highest number is no limit", async () => {
    const folder = "/sys/fs/cgroup/memory";
    const files = {
      "/proc/meminfo": meminfo(10 * GiB),
      "/proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/docker/abc\n0::/\n",
      [`${folder}/memory.limit_in_bytes`]: "9223372036854771712\n",
      [`${folder}/memory.usage_in_bytes`]: `${9 * GiB}\n`,
      [`${folder}/docker/abc/memory.limit_in_bytes`]: `${4 * GiB}\n`,
      [`${folder}/docker/abc/memory.usage_in_bytes`]: `${2 * GiB}\n`,
      [`${folder}/docker/abc/memory.stat`]: `cache 5\ninactive_file 1\ntotal_inactive_file ${512 * MiB}\n`,
    };
    expect(freeMemoryFrom(await tree(files))).toEqual({ bytes: 2.5 * GiB, container: 4 * GiB });
  });

  it("is nothing, and not less, where a container holds more than its limit", async () => {
    const read = await tree({
      "/proc/meminfo": meminfo(10 * GiB),
      "/proc/self/cgroup": "0::/a\n",
      ...unified("/a", GiB, 2 * GiB),
    });
    expect(freeMemoryFrom(read)).toEqual({ bytes: 0, container: GiB });
  });

  it("passes over files that say something else", async () => {
    const read = await tree({
      "/proc/meminfo": meminfo(10 * GiB),
      "/proc/self/cgroup": "nonsense\n0::/../../a\n:memory:\n",
      ...unified("/a", GiB, GiB, { "memory.current": "many\n", "memory.high": "-1\n" }),
    });
    expect(freeMemoryFrom(read)).toEqual({ bytes: 10 * GiB, container: null });
  });

  it("is told of this machine", async () => {
    const { bytes } = freeMemory();
    expect(bytes).toBeGreaterThan(0);
    const total = /^MemTotal:\s+(\d+)/mu.exec(await readFile("/proc/meminfo", "utf8").catch(() => ""))?.[1];
    if (total !== undefined) expect(bytes).toBeLessThanOrEqual(1024 * Number(total));
  });
});
