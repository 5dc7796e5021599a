/** A program that trains with `mpi: true` on several ranks, with the real mpirun. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { workplace } from "../../cli/cli.ts";
import { missingMpi, mpirun, mpiTitle } from "../../support/mpi.ts";
import { exploding, fresh, plan, trainedOn, withConfig } from "../../support/ranks.ts";

/** Records the events and the checkpoints that it receives. Asks the run to stop at the first event of a given type. */
const program = `
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { train } from ${JSON.stringify(new URL("../../../dist/index.js", import.meta.url).href)};

const [name, kind] = process.argv.slice(2);
const { callback, options, stopAfter } = JSON.parse(await readFile(name + ".json", "utf8"));
const handed = [];
const events = [];
const stop = new AbortController();
const hash = (content) => createHash("sha256").update(content).digest("hex");
const timeless = ({ tokensPerSecond, threads, ranks, memory, availableMemory, ...rest }) => rest;
const note = (files, which) => {
  const { "metrics.jsonl": notes = [], ...others } = files;
  const lines = Buffer.from(notes).toString().split("\\n").filter(Boolean);
  const hashes = Object.entries(others).map(([name, content]) => [name, hash(content)]);
  handed.push({ which, hashes, notes: lines.map((line) => timeless(JSON.parse(line))) });
};
const text = await readFile("text.txt", "utf8");
const more = { backend: "native", mpi: kind === "mpi", finalSampleTokens: 3, signal: stop.signal, [callback]: note };
for await (const event of train({ text, ...options, ...more })) {
  if (event.type !== "estimate") events.push(timeless(event));
  if (event.type === stopAfter) stop.abort();
}
await writeFile([name, kind, process.env.OMPI_COMM_WORLD_RANK].join("-") + ".json", JSON.stringify({ handed, events }));
`;

interface Told {
  readonly handed: readonly unknown[];
  readonly events: readonly Readonly<Record<string, unknown>>[];
}

let place: Awaited<ReturnType<typeof workplace>>;

describe.skipIf(missingMpi !== undefined)(mpiTitle("a program on two ranks"), () => {
  beforeAll(async () => {
    place = await workplace();
    await writeFile(join(place.cwd, "program.mjs"), program);
    const flags = await withConfig(place.cwd, "base", fresh, ["--data", "text.txt", "--out", "base"]);
    await trainedOn(1, flags, place.cwd);
  });
  afterAll(() => place?.remove());

  /** What each rank reports about a run. */
  const told = async (ranks: number, name: string, kind: "alone" | "mpi"): Promise<readonly Told[]> => {
    const args = ["-n", String(ranks), process.execPath, "program.mjs", name, kind];
    const { status, stderr } = await mpirun(args, place.cwd);
    expect(status, stderr).toBe(0);
    const files = Array.from({ length: ranks }, (_, rank) => join(place.cwd, `${name}-${kind}-${rank}.json`));
    return Promise.all(files.map(async (file) => JSON.parse(await readFile(file, "utf8")) as Told));
  };
  const write = (name: string, run: object): Promise<void> =>
    writeFile(join(place.cwd, `${name}.json`), JSON.stringify(run));

  const { preset, ...config } = exploding;
  it.each([
    ["onCheckpoint", "of a run that goes back in memory", { preset, config }],
    ["onAdapter", "beside the weights of a run", { initFrom: "base", config: { lora: { rank: 3 }, train: plan } }],
  ])("has the events of one process on both, and rank 0 alone its %s: %s", async (callback, _, options) => {
    await write(callback, { callback, options });
    const [one = { handed: [], events: [] }] = await told(1, callback, "alone");
    expect(one.handed.length).toBeGreaterThan(2);
    expect(one.events.some(({ type }) => type === "nonfinite")).toBe(callback === "onCheckpoint");
    expect(await told(2, callback, "mpi")).toEqual([one, { ...one, handed: [] }]);
  });

  it("breaks off an evaluation when it is told to stop, as one process does, on one rank and on two", async () => {
    const { preset, ...config } = { ...fresh, train: { ...plan, evalInterval: 1 } };
    await write("stopped", { callback: "onCheckpoint", options: { preset, config, worker: false }, stopAfter: "step" });
    const [one = { handed: [], events: [] }] = await told(1, "stopped", "alone");
    expect(one.events.map(({ type, reason }) => reason ?? type)).toEqual([
      ...["start", "step", "checkpoint", "interrupted"],
    ]);
    expect(await told(1, "stopped", "mpi")).toEqual([one]);
    expect(await told(2, "stopped", "mpi")).toEqual([one, { ...one, handed: [] }]);
  });
});
