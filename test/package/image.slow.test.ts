/**
 * Tests the Dockerfile. The steps of the Dockerfile are executed in folders, and the image's program does what
 * docs/guides/container.md shows.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { outcomeOf } from "../outcome-of.ts";
import { wordsText } from "../support/runs.ts";
import { buildImage, type Image, ignoredIn, stagesOf } from "./image.ts";
import { root } from "./installed.ts";

const built = ["native/foretoken.linux-x64.node", "wasm/kernels.relaxed-simd.wasm"];
const isBuilt = built.every((file) => existsSync(join(root, "dist/backend/implementations", file)));
// If CI compiles everything, this test must not be skipped.
const isRequired = process.env.FORETOKEN_REQUIRE_NATIVE === "1" && process.env.FORETOKEN_BUILD_ISA === "all";
const missing =
  process.platform !== "linux" || process.arch !== "x64"
    ? "its steps are those of Linux x64"
    : isBuilt || isRequired
      ? undefined
      : "not everything is built here (FORETOKEN_BUILD_ISA=all npm run build)";

const text = await readFile(join(root, "Dockerfile"), "utf8");
const stages = stagesOf(text);
const lastSteps = stages.at(-1)?.steps ?? [];
const lastOf = (instruction: string): string => lastSteps.find((step) => step.instruction === instruction)?.rest ?? "";

describe.skipIf(missing !== undefined)(`the image${missing === undefined ? "" : `: ${missing}`}`, () => {
  let place = "";
  let image: Image;
  const commands: string[] = [];

  const runIn = (line: string, cwd: string, env: NodeJS.ProcessEnv) =>
    outcomeOf(spawn("sh", ["-c", line], { cwd, env, stdio: ["ignore", "pipe", "pipe"] }));

  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), "foretoken-image-"));
    const ignored = await ignoredIn(join(root, ".dockerignore"));
    const entries = (await readdir(root)).filter((name) => !ignored.includes(name));
    image = await buildImage(stages, {
      ...{ place, context: root, entries },
      run: async (line, folder, asked) => {
        commands.push(line);
        // These commands take minutes. CI and this clone have already executed the same commands, so the test skips
        // them.
        if (line === "npm ci --ignore-scripts") {
          await symlink(join(root, "node_modules"), join(folder, "node_modules"));
          return;
        }
        if (line === "npm run build") {
          for (const name of ["dist", "build"])
            await cp(join(root, name), join(folder, name), { recursive: true, preserveTimestamps: true });
        }
        // If the clone lacks some instruction sets, the test does not compile them.
        const env = { ...process.env, ...asked, FORETOKEN_BUILD_ISA: process.env.FORETOKEN_BUILD_ISA };
        const { status, stdout, stderr } = await runIn(line, folder, { ...env, npm_config_prefer_offline: "true" });
        if (status !== 0) throw new Error(`${line}\n${stdout}${stderr}`);
        if (line === "npm run build") expect(stdout.replaceAll(/^(?:> .*)?\n/gmu, "")).toBe("");
      },
    });
    await mkdir(join(image.folder, "texts"));
    await writeFile(join(image.folder, "texts/notes.txt"), `The ${wordsText("image", 400)}`);
  });
  afterAll(() => rm(place, { recursive: true }));

  const start = (args: readonly string[]) => {
    const [program = ""] = JSON.parse(lastOf("ENTRYPOINT")) as string[];
    const path = [image.path("/usr/local/bin"), process.env.PATH].join(delimiter);
    // The program comes from the image. Node and the shell come from this machine.
    const hidden = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(?:FORETOKEN_|npm_)/u.test(name)),
    );
    const env = { ...hidden, ...image.environment, HOME: image.folder, PATH: path };
    return spawn(program, args, { cwd: image.folder, env, stdio: ["ignore", "pipe", "pipe"] });
  };
  const foretoken = (...args: readonly string[]) => outcomeOf(start(args));

  /** Arguments of each line `docker run … foretoken …` in the guide, by command. */
  const documented = async (command: string): Promise<readonly string[]> => {
    const page = (await readFile(join(root, "docs/guides/container.md"), "utf8")).replaceAll(/ \\\n +/gu, " ");
    const line = page.split("\n").find((one) => one.startsWith("docker run ") && one.includes(` foretoken ${command}`));
    const [, args = ""] = / foretoken (.*)$/u.exec(line ?? "") ?? [];
    return [...args.matchAll(/"([^"]*)"|(\S+)/gu)].map(([, quoted, plain]) => quoted ?? plain ?? "");
  };

  it("compiles for every instruction set, with the commands that CI runs", () => {
    expect(text).toMatch(/^ENV FORETOKEN_BUILD_ISA=all$/mu);
    expect(commands.slice(0, 2)).toEqual(["npm ci --ignore-scripts", "npm run build"]);
  });

  it("computes natively, as a user without rights, and has no compiler's part of the clone", async () => {
    expect(image.user).toBe("node");
    const { status, stdout, stderr } = await foretoken(...(await documented("info")), "--json");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout).auto.name).toBe("native");
    const files = await readdir(image.path("/opt/foretoken"));
    expect(files).toEqual(expect.arrayContaining(["dist", "node_modules", "package.json"]));
    for (const name of ["src", "test", "web", "build"]) expect(files).not.toContain(name);
    expect(await readdir(image.path("/opt/foretoken/node_modules"))).not.toContain("typescript");
  });

  it("has the folders of its volumes, which are the user's", async () => {
    const volumes = JSON.parse(lastOf("VOLUME")) as string[];
    expect(volumes).toContain("/home/node/runs");
    const steps = lastSteps.map(({ instruction }) => instruction);
    expect(steps.indexOf("USER")).toBeLessThan(steps.lastIndexOf("RUN"));
    for (const volume of volumes) expect((await stat(image.path(volume))).isDirectory()).toBe(true);
  });

  it("trains and writes with the commands of the page", async () => {
    const model = ["--model.nLayer", "1", "--model.nHead", "1", "--model.nEmbd", "8", "--model.contextLength", "8"];
    const trained = await foretoken(...(await documented("train")), "--steps", "2", ...model);
    expect(trained).toMatchObject({ status: 0 });
    expect(await readdir(join(image.folder, "runs"))).toEqual(["notes"]);
    const written = await foretoken(...(await documented("generate")), "--max-new-tokens", "5", "--json");
    expect(written).toMatchObject({ status: 0, stdout: expect.stringContaining('"newTokens":5') });
    const help = await foretoken(...(JSON.parse(lastOf("CMD")) as string[]));
    expect(help).toMatchObject({ status: 0, stdout: expect.stringContaining("Usage") });
  });

  it("shows the studio at all addresses, with a token, and ends as docker stop ends it", async () => {
    const args = await documented("studio");
    expect(args).toContain("0.0.0.0");
    expect(lastOf("EXPOSE")).toBe("4747");
    const child = start([...args, "--port", "0"]);
    const ended = outcomeOf(child);
    const address = await new Promise<string>((resolve, reject) => {
      child.stdout.once("data", (piece: Buffer) => resolve(String(piece).trim()));
      child.once("close", () => reject(new Error("the studio ended before it told its address")));
    });
    try {
      expect(address).toMatch(/^http:\/\/localhost:\d+\/\S*token=/u);
      const answer = await fetch(address);
      expect(answer.status).toBe(200);
      expect(await answer.text()).toContain("<title>");
    } finally {
      child.kill("SIGTERM");
      await ended;
    }
  });
});
