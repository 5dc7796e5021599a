/** A program that trains with `mpi: true` on several ranks, with the real mpirun. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { workplace } from "../../cli/cli.ts";
import { missingMpi, mpirun, mpiTitle } from "../../support/mpi.ts";
import { exploding, fresh, plan, trainedOn, withConfig } from "../../support/ranks.ts";

/** Notes the events, and the checkpoints that it is handed. */
const program = `
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { train } from ${JSON.stringify(new URL("../../../dist/index.js", import.meta.url).href)};

const [out, mpi, callback] = process.argv.slice(2);
const { OMPI_COMM_WORLD_RANK: rank } = process.env;
const handed = [];
const events = [];
const hash = (content) => createHash("sha256").update(content).digest("hex");
const note = (files, which) => {
  handed.push({ which, hashes: Object.entries(files).map(([name, content]) => [name, hash(content)]) });
};
const { options, config } = JSON.parse(await readFile(callback + ".json", "utf8"));
const text = await readFile("text.txt", "utf8");
const more = { backend: "native", mpi: mpi === "mpi", finalSampleTokens: 3, [callback]: note };
for await (const event of train({ text, config, ...options, ...more })) {
  const { tokensPerSecond, threads, memory, availableMemory, ...rest } = event;
  if (event.type !== "estimate") events.push(rest);
}
await writeFile(out + "-" + rank + ".json", JSON.stringify({ handed, events }));
`;

let place: Awaited<ReturnType<typeof workplace>>;

describe.skipIf(missingMpi !== undefined)(mpiTitle("a program on two ranks"), () => {
  beforeAll(async () => {
    place = await workplace();
    await writeFile(join(place.cwd, "program.mjs"), program);
    const flags = await withConfig(place.cwd, "base", fresh, ["--data", "text.txt", "--out", "base"]);
    await trainedOn(1, flags, place.cwd);
  });
  afterAll(() => place?.remove());

  it.each([
    ["onCheckpoint", "of a run that goes back in memory", exploding, { preset: "book" }],
    ["onAdapter", "beside the weights of a run", { lora: { rank: 3 }, train: plan }, { initFrom: "base" }],
  ])("has the events of one process on both, and rank 0 alone its %s: %s", async (callback, _, config, options) => {
    const { preset, ...fields } = { preset: undefined, ...config };
    await writeFile(join(place.cwd, `${callback}.json`), JSON.stringify({ options, config: fields }));
    const noted = async (ranks: number, kind: string): Promise<unknown[]> => {
      const args = ["-n", String(ranks), process.execPath, "program.mjs", `${callback}-${kind}`, kind, callback];
      const { status, stderr } = await mpirun(args, place.cwd);
      expect(status, stderr).toBe(0);
      const files = Array.from({ length: ranks }, (_, rank) => join(place.cwd, `${callback}-${kind}-${rank}.json`));
      return Promise.all(files.map(async (file) => JSON.parse(await readFile(file, "utf8")) as unknown));
    };
    const [one] = (await noted(1, "alone")) as [{ handed: unknown[]; events: { type: string }[] }];
    expect(one.handed.length).toBeGreaterThan(2);
    expect(one.events.some(({ type }) => type === "nonfinite")).toBe(config === exploding);
    expect(await noted(2, "mpi")).toEqual([one, { ...one, handed: [] }]);
  });
});
