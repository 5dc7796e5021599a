import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pageAt, smallRun } from "../serve/studio.ts";
import { wordsText } from "../support/runs.ts";
import { type Installed, installTarball, root } from "./installed.ts";
import { installPrograms, noPrograms, type Programs, printedBy, type Runtime, thisNode, versions } from "./runtimes.ts";

const addon = join(root, "dist/backend/implementations/native/foretoken.linux-x64.node");
const native = existsSync(addon);
const backends = native ? ["wasm", "native"] : ["wasm"];

const names = ["node22", "node24", "deno", "bun"] as const;

interface Place extends Programs {
  readonly installed: Installed;
}
const findPlace = async (): Promise<Place> => {
  const programs = await installPrograms(names);
  try {
    return { ...programs, installed: await installTarball({ native }) };
  } catch (error) {
    await programs.remove();
    throw error;
  }
};

const attempt = noPrograms === undefined ? await findPlace().catch((error: Error) => error) : new Error(noPrograms);
// Installation may need the network, which may be missing. In a check of the whole project, a failed installation is an
// error.
const isRequired = noPrograms === undefined && process.env.FORETOKEN_REQUIRE_REGISTRY === "1";
const missing = attempt instanceof Error && !isRequired ? attempt.message.split("\n")[0] : undefined;

type Lines = readonly Readonly<Record<string, unknown>>[];
const linesOf = (stdout: string): Lines =>
  stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Lines[number]);

/** The studio's address, which it prints when it is ready. */
const addressIn = async (output: Readable): Promise<string> => {
  let text = "";
  for await (const piece of output.iterator({ destroyOnReturn: false })) {
    text += piece;
    const [address] = /http:\/\/127\S+\s/u.exec(text) ?? [];
    if (address !== undefined) return address.trim();
  }
  throw new Error(`no address in ${text}`);
};

const model = ["--model.nLayer", "1", "--model.nHead", "2", "--model.nEmbd", "16", "--model.contextLength", "16"];
const training = ["train", "--data", "words.txt", "--preset", "quick", "--backend", "wasm", ...model, "--json"];

describe.skipIf(missing !== undefined)(
  `other programs than this Node.js${missing === undefined ? "" : `: ${missing}`}`,
  () => {
    let place: Place;
    const printed = new Map<string, Lines>();
    beforeAll(async () => {
      if (attempt instanceof Error) throw attempt;
      place = attempt;
      const { project } = place.installed;
      await writeFile(join(project, "words.txt"), wordsText("runtimes", 600));
      const path = join(root, "test/package/runtime-program.mjs");
      await writeFile(join(project, "program.mjs"), await readFile(path, "utf8"));
      const runs = [thisNode, ...place.runtimes].map(async ({ name, command }) => {
        const args = ["program.mjs", join(project, "runs", name.replace(" ", "-")), ...backends];
        const { stdout, stderr } = await printedBy(place.start(command, args, project));
        expect({ name, stderr }).toEqual({ name, stderr: "" });
        printed.set(name, linesOf(stdout));
      });
      await Promise.all(runs);
    });
    afterAll(async () => {
      if (attempt instanceof Error) return;
      await attempt.installed.remove();
      await attempt.remove();
    });

    const runtimeOf = (name: (typeof names)[number]): Runtime => place.runtimes[names.indexOf(name)] as Runtime;
    const foretoken = (runtime: Runtime, args: readonly string[]): ReturnType<Programs["start"]> =>
      place.start(runtime.foretoken, args, place.installed.project);

    it("compute in this Node.js what they should", () => {
      const [wasm, ...rest] = printed.get(thisNode.name) as Lines;
      expect(wasm).toMatchObject({ backend: "wasm", isSameHere: true, isSameInWorker: true, stopped: "aborted" });
      // The resumed run has the same bits as a run without the stop.
      const resumed = rest.find((line) => "isStopped" in line);
      expect(resumed).toMatchObject({ reason: "interrupted", isStopped: true, weights: wasm?.weights });
      expect(resumed?.others).toMatch(
        /^ConfigError: .*no other process may use the folder; got process PID, this process;/u,
      );
      expect(rest.at(-1)).toEqual({ isFreeAfterEnd: true });
    });

    it.each(names)("compute in %s the same losses, weights, texts and curves, and stop and refuse alike", (name) => {
      const expected = printed.get(thisNode.name) as Lines;
      const lines = printed.get(runtimeOf(name).name) as Lines;
      // Bun does not close the files of a thread that was terminated. docs/runtimes.md says so.
      const isFreeAfterEnd = name !== "bun";
      expect(lines).toEqual([...expected.slice(0, -1), { isFreeAfterEnd }]);
    });

    it.concurrent.each(names)("have in %s the commands, by the name that docs/runtimes.md says", async (name) => {
      const runtime = runtimeOf(name);
      const info = await printedBy(foretoken(runtime, ["info", "--json"]));
      expect(JSON.parse(info.stdout)).toMatchObject({
        machine: { runtime: runtime.name },
        auto: { name: native ? "native" : "wasm" },
      });
      const out = `runs/commands-${name}`;
      const child = foretoken(runtime, [...training, "--steps", "200000", "--out", out]);
      let text = "";
      let isStopped = false;
      child.stdout.on("data", (piece: string) => {
        text += piece;
        // The signal is sent only once, because a second signal would end the program at once.
        if (!isStopped && /"type":"step","step":20,/u.test(text)) isStopped = child.kill("SIGINT");
      });
      const stopped = await printedBy(child, 130);
      expect(linesOf(stopped.stdout).at(-1)).toMatchObject({ type: "done", reason: "interrupted" });
      expect(stopped.stderr).toContain("saved; to resume: ");
      const written = await printedBy(foretoken(runtime, ["generate", out, "--prompt", "the", "--json"]));
      expect(linesOf(written.stdout).at(-1)).toMatchObject({ type: "done", newTokens: expect.any(Number) });
      const refused = await printedBy(foretoken(runtime, ["train", "--data", "none.txt", "--out", `${out}-none`]), 2);
      expect(refused.stderr).toMatch(/^foretoken: none\.txt: the file must exist; [^\n]*\n$/u);
    });

    it.concurrent.each(["deno", "bun"] as const)("serve in %s the studio, which trains and writes", async (name) => {
      const { project } = place.installed;
      const folder = `studio-${name}`;
      await mkdir(join(project, folder, "runs"), { recursive: true });
      const child = foretoken(runtimeOf(name), ["studio", `${folder}/runs`, "--port", "0", "--backend", "wasm"]);
      const ended = printedBy(child);
      const address = await Promise.race([addressIn(child.stdout), ended.then(({ stdout }) => stdout)]);
      const page = pageAt(
        () => join(project, folder),
        () => address,
      );
      expect(await (await fetch(page.address())).text()).toContain("<script");
      expect(await page.post("runs", smallRun("cat", 12))).toMatchObject({ status: 200 });
      expect(await page.until("cat", ({ state }) => state === "finished")).toMatchObject({ step: 12 });
      child.kill("SIGINT");
      expect((await ended).status).toBe(0);
    });
  },
);

it("are the versions that docs/runtimes.md names", async () => {
  const page = await readFile(join(root, "docs/runtimes.md"), "utf8");
  for (const version of Object.values(versions)) expect(page).toContain(version);
});
