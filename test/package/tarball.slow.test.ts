import { chmod, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { wordsText } from "../support/runs.ts";
import { type Installed, installTarball, type Outcome, root, shell } from "./installed.ts";

const megabytes = 1e6;

/** Whether native kernels exist for this kind of machine. The package does not contain them. */
const canHaveNative = process.platform !== "win32" && ["x64", "arm64"].includes(process.arch);
const builder = join("node_modules", "foretoken", "scripts", "build", "native.mjs");
const advice = `backend wasm: several times slower than native kernels; to build them with a C++ compiler: node ${builder}`;

const attempt = await installTarball().catch((error: Error) => error);
// Installation may need the network, which may be missing. In a check of the whole project, a failed installation is an
// error.
const missing =
  attempt instanceof Error && process.env.FORETOKEN_REQUIRE_REGISTRY !== "1"
    ? `npm cannot install: ${attempt.message.split("\n")[0]}`
    : undefined;

describe.skipIf(missing !== undefined)(
  `the packed tarball, installed${missing === undefined ? "" : `: ${missing}`}`,
  () => {
    let installed: Installed;
    beforeAll(async () => {
      if (attempt instanceof Error) throw attempt;
      installed = attempt;
      await write("words.txt", wordsText("tarball", 600));
    });
    afterAll(() => (attempt instanceof Error ? undefined : attempt.remove()));

    const write = (name: string, text: string): Promise<void> => writeFile(join(installed.project, name), text);
    const run = (line: string): Promise<Outcome> => shell(line, installed.project);
    const inPackage = (path: string): string => join(installed.project, "node_modules/foretoken", path);
    const sizeOf = async (folder: string): Promise<number> => {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      const files = entries.filter((entry) => entry.isFile());
      const sizes = await Promise.all(files.map(async (file) => (await stat(join(file.parentPath, file.name))).size));
      return sizes.reduce((sum, size) => sum + size, 0);
    };

    it("is small, and brings few packages with it", async () => {
      const { stdout } = await run("npm ls --all --parseable");
      const packages = stdout.trim().split("\n").slice(1);
      const names = packages.map((path) =>
        path
          .split(/node_modules[/\\]/)
          .at(-1)
          ?.replaceAll("\\", "/"),
      );
      const own = [
        "@huggingface/hub",
        "@huggingface/jinja",
        "@huggingface/tokenizers",
        "@hono/node-server",
        "commander",
        "hono",
        "picocolors",
        "zod",
      ];
      // Files of the hub's library. Some of these files are for the library's own program, which is never executed.
      const ofHub = ["@huggingface/blake3-jit", "@huggingface/tasks", "@huggingface/xetchunk-wasm", "gearhash-jit"];
      const ofItsProgram = [
        "ansi-regex",
        "cli-progress",
        "emoji-regex",
        "is-fullwidth-code-point",
        "string-width",
        "strip-ansi",
      ];
      expect([...new Set(names)].sort()).toEqual([...own, ...ofHub, ...ofItsProgram, "foretoken"].sort());
      // The command's bundle is 2.5 MB of the package (0.7 MB packed). The bundle includes zod and commander, and
      // halves the start time of the command.
      const page = await readFile(join(root, "docs/reference/library.md"), "utf8");
      const stated =
        /under ([\d.]+) MB packed, under ([\d.]+) MB unpacked, and under ([\d.]+) MB with its dependencies\. \S+ and the\s+packages that it needs take under ([\d.]+) MB/u.exec(
          page,
        );
      const [packed = 0, unpacked = 0, all = 0, hub = 0] = (stated ?? [])
        .slice(1)
        .map((size) => Number(size) * megabytes);
      expect(installed.packedSize).toBeLessThan(packed);
      expect(installed.unpackedSize).toBeLessThan(unpacked);
      expect(await sizeOf(join(installed.project, "node_modules"))).toBeLessThan(all);
      const sizesOfHub = ["@huggingface/hub", ...ofHub, ...ofItsProgram].map((name) =>
        sizeOf(join(installed.project, "node_modules", name)),
      );
      expect((await Promise.all(sizesOfHub)).reduce((sum, size) => sum + size, 0)).toBeLessThan(hub);
    });

    it("has no script that runs at its installation, and nothing that was compiled for one machine", async () => {
      const manifest = JSON.parse(await readFile(inPackage("package.json"), "utf8"));
      // No script is executed when the package is linked, either. Linking would execute `prepare`.
      for (const field of ["scripts", "devDependencies", "optionalDependencies"])
        expect(manifest[field]).toBeUndefined();
      expect(installed.files.filter(({ path }) => path.endsWith(".node"))).toEqual([]);
      const { stdout } = await run("npx --no-install foretoken info --json");
      expect(JSON.parse(stdout).auto).toMatchObject({ name: "wasm" });
    });

    it("has every file that its exports and its command name", async () => {
      const { exports, bin } = JSON.parse(await readFile(inPackage("package.json"), "utf8"));
      const targets = Object.values(exports as Record<string, string | Record<string, string>>).flatMap((target) =>
        typeof target === "string" ? [target] : Object.values(target),
      );
      const there = new Set(installed.files.map(({ path }) => path));
      const named = [...targets, ...Object.values(bin as Record<string, string>)].map((path) =>
        path.replace(/^\.\//, ""),
      );
      expect(named).toContain("dist/foretoken.browser.js");
      expect(named.filter((path) => !there.has(path))).toEqual([]);
    });

    it("has the declarations that its exports reach, and no others", () => {
      const declarations = installed.files.map(({ path }) => path).filter((path) => path.endsWith(".d.ts"));
      expect(declarations).toEqual(expect.arrayContaining(["dist/index.d.ts", "dist/browser.d.ts"]));
      // The compiler checks below that no file is missing.
      expect(declarations.filter((path) => /^dist\/(cli|doctor|serve|lesson)\//.test(path))).toEqual([]);
    });

    it("trains, evaluates and generates from an ES module", async () => {
      await write(
        "run.mjs",
        `
      import { evaluate, generate, loadPretrained, train } from "foretoken";
      const model = { nLayer: 1, nHead: 2, nEmbd: 16, contextLength: 16 };
      const settings = { steps: 30, batchSize: 4, evalInterval: 30, sampleTokens: 0, warmupSteps: 2, learningRate: 1e-2 };
      const losses = [];
      for await (const event of train({ data: "words.txt", out: "runs/words", preset: "quick", config: { model, train: settings } })) {
        if (event.type === "step") losses.push(event.loss);
      }
      const lm = await loadPretrained("runs/words/checkpoint");
      const { natsPerToken } = await evaluate(lm, { data: "words.txt" });
      let text = "";
      for await (const event of generate(lm, { prompt: "the", maxNewTokens: 12 })) if (event.type === "token") text += event.text;
      await lm.close();
      console.log(JSON.stringify({ losses, natsPerToken, text, backend: lm.model.backend.name }));
    `,
      );
      const { stdout, stderr, status } = await run("node run.mjs");
      // The program trains a model and loads a model, but prints the notice only once. The second line is from Node.
      const [warning = "", ...rest] = stderr.trim().split("\n");
      expect(warning.replace(/^\(node:\d+\) /u, "")).toBe(
        canHaveNative ? `[FORETOKEN_NO_NATIVE_KERNELS] ForetokenWarning: ${advice}` : "",
      );
      expect(rest.filter((line) => !line.startsWith("(Use `node --trace-warnings"))).toEqual([]);
      expect(status).toBe(0);
      const { losses, natsPerToken, text, backend } = JSON.parse(stdout);
      expect(backend).toBe("wasm");
      expect(losses).toHaveLength(30);
      expect(losses[29]).toBeLessThan(losses[0] - 0.5);
      expect(natsPerToken).toBeLessThan(losses[0] - 0.5);
      expect(text).toHaveLength(12);
    });

    it("has a command, which trains, evaluates and writes", async () => {
      const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
      expect((await run("npx --no-install foretoken --version")).stdout.trim()).toBe(version);
      const model = "--model.nLayer 1 --model.nHead 2 --model.nEmbd 16 --model.contextLength 16";
      const trained = await run(
        `npx --no-install foretoken train --data words.txt --out runs/cli --preset quick --steps 4 ${model} --json`,
      );
      const told = { status: 0, stderr: canHaveNative ? `${advice}\n` : "" };
      expect(trained).toMatchObject(told);
      for (const line of trained.stdout.trim().split("\n")) expect(JSON.parse(line)).toHaveProperty("type");
      const generated = await run(
        "npx --no-install foretoken generate runs/cli --prompt the --max-new-tokens 5 --json",
      );
      expect(generated).toMatchObject(told);
      expect(JSON.parse(generated.stdout.trim().split("\n").at(-1) as string)).toMatchObject({
        type: "done",
        newTokens: 5,
      });
      const evaluated = await run("npx --no-install foretoken evaluate runs/cli --data words.txt --json");
      // The first part of the line is about the text: only the end of the text was measured.
      expect(evaluated).toMatchObject({ status: 0, stderr: expect.stringContaining(told.stderr) });
    });

    it("writes a starter that npm installs without a warning, and that finds the package", async () => {
      const made = await run("npx --no-install foretoken init node starter --js");
      expect({ stderr: made.stderr, status: made.status }).toEqual({ stderr: "", status: 0 });
      const inStarter = (line: string): Promise<Outcome> => shell(line, join(installed.project, "starter"));
      expect(await inStarter("npm install --offline --no-audit --no-fund")).toMatchObject({ stderr: "", status: 0 });
      await write(join("starter", "which.mjs"), 'console.log(import.meta.resolve("foretoken"));');
      expect((await inStarter("node which.mjs")).stdout).toContain("/node_modules/foretoken/dist/index.js");
    });

    it("builds the native backend where it is asked to and can: with a compiler", async () => {
      const script = new URL("../../scripts/build/native.mjs", import.meta.url).href;
      const { findCompiler }: { findCompiler: () => readonly string[] | undefined } = await import(script);
      const compiler = findCompiler();
      // The compiler is called without optimisation and without forced inlining. npm ci has already compiled the same
      // files with optimisation and inlining, which takes far longer. It has also checked the warnings.
      const quick = "-O0 -w '-DFT_INLINE=static inline'";
      await write("compiler", `#!/bin/sh\nexec ${compiler?.join(" ")} "$@" ${quick}\n`);
      await chmod(join(installed.project, "compiler"), 0o755);
      const named = compiler === undefined ? "" : `FORETOKEN_BUILD_ISA= CXX="${join(installed.project, "compiler")}" `;
      const { status, stdout, stderr } = await run(`${named}node node_modules/foretoken/scripts/build/native.mjs`);
      const { auto } = JSON.parse((await run("npx --no-install foretoken info --json")).stdout);
      if (
        /^native: compiling for .*\n(foretoken: still building native kernels, .*\n)*native: built for .*\n$/.test(
          stdout,
        )
      ) {
        expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
        expect(auto.name).toBe("native");
      } else {
        expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
        expect(stderr).toMatch(
          /^(no C\+\+ compiler|no Node-API headers) found.*foretoken uses WebAssembly instead.*\n$/,
        );
        expect(auto.why).toContain(join("node_modules", "foretoken", "scripts", "build", "native.mjs"));
      }
    });

    const program = `
    import { evaluate, generate, type LanguageModel, loadPretrained, openBackend, train, type TrainEvent } from "foretoken";

    const backend = await openBackend("wasm", { threads: 2 });
    const events: TrainEvent[] = [];
    for await (const event of train({ data: "words.txt", out: null, backend, config: { train: { steps: 1 } } })) {
      if (event.type === "eval") console.log(event.valLoss.toFixed(3), event.best);
      // @ts-expect-error: a step has no validation loss
      if (event.type === "step") console.log(event.valLoss);
      events.push(event);
    }
    const lm: LanguageModel = await loadPretrained("runs/words/checkpoint", { backend });
    for await (const event of generate(lm, { prompt: "the" })) if (event.type === "token") console.log(event.text.length);
    const { bitsPerByte }: { bitsPerByte: number } = await evaluate(lm, { data: "words.txt" });
    console.log(bitsPerByte);
    // @ts-expect-error: there is no such preset
    train({ preset: "none" });
  `;
    const page = `
    import { type CheckpointFiles, evaluate, generate, loadPretrained, openBackend, train } from "foretoken/browser";

    const backend = await openBackend("wasm", { threads: 2 });
    let files: CheckpointFiles | undefined;
    for await (const event of train({ text: "a text", backend, onCheckpoint: (saved) => void (files = saved) })) {
      if (event.type === "step") console.log(event.loss);
    }
    const lm = await loadPretrained(files ?? new URL("https://example.org/model/"), { backend });
    for await (const event of generate(lm, { prompt: "a" })) if (event.type === "token") console.log(event.text);
    console.log((await evaluate(lm, { text: "a text" })).natsPerToken);
    // @ts-expect-error: a page has no native backend
    await openBackend("native");
  `;

    const check = async (options: Readonly<Record<string, unknown>>, ...files: string[]): Promise<void> => {
      const base = {
        strict: true,
        exactOptionalPropertyTypes: true,
        noEmit: true,
        target: "es2022",
        skipLibCheck: false,
      };
      await write("tsconfig.json", JSON.stringify({ compilerOptions: { ...base, ...options }, files }));
      const { stdout, status } = await run(`node "${join(root, "node_modules/typescript/bin/tsc")}" -p .`);
      expect({ stdout, status }).toEqual({ stdout: "", status: 0 });
    };

    it("type-checks strictly in Node's TypeScript, without the types of browsers", async () => {
      await symlink(join(root, "node_modules/@types"), join(installed.project, "node_modules/@types"), "junction");
      await write("program.ts", program);
      await check({ module: "nodenext", lib: ["es2023"], types: ["node"] }, "program.ts");
    });

    it("type-checks strictly for a bundler, without the types of Node", async () => {
      await write("page.ts", page);
      await write("program.ts", program);
      const bundled = {
        module: "esnext",
        moduleResolution: "bundler",
        lib: ["es2022", "dom", "dom.iterable"],
        types: [],
      };
      await check(bundled, "page.ts", "program.ts");
    });
  },
);
