import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, realpath, rename, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Installed, installTarball, type Outcome, root, shell } from "./installed.ts";

const addon = join(root, "dist/backend/implementations/native/foretoken.linux-x64.node");
const isRequired =
  process.env.FORETOKEN_REQUIRE_NATIVE === "1" && process.platform === "linux" && process.arch === "x64";
const missing = existsSync(addon) || isRequired ? undefined : "the native kernels for Linux x64 are not built here";

interface Packing {
  readonly builtSets: () => { readonly names: readonly string[]; readonly complete: boolean };
  readonly neededLibc: (bytes: Buffer) => number;
}
const { builtSets, neededLibc }: Packing = await import(new URL("../../scripts/pack.mjs", import.meta.url).href);

describe.skipIf(missing !== undefined)(
  `the package with its prebuilt kernels${missing === undefined ? "" : `: ${missing}`}`,
  () => {
    let installed: Installed;
    let programs: string;
    beforeAll(async () => {
      installed = await installTarball({ native: true });
      // A PATH that contains only the programs that npm itself needs.
      programs = join(dirname(installed.project), "programs");
      await mkdir(programs);
      for (const name of ["node", "npm", "npx", "sh", "env"]) {
        const { stdout } = await shell(`command -v ${name}`, root);
        await symlink(await realpath(stdout.trim()), join(programs, name));
      }
    });
    afterAll(() => installed?.remove());

    const run = (line: string): Promise<Outcome> => shell(`PATH="${programs}"; ${line}`, installed.project);
    const inProject = (path: string): string => join(installed.project, "node_modules", path);
    const info = async (): Promise<{
      auto: { name: string; why: string; advice?: string };
      backends: { instructionSets: string[] }[];
    }> => {
      const { stdout, stderr } = await run("npx --no-install foretoken info --json");
      expect(stderr).toBe("");
      return JSON.parse(stdout);
    };

    it("computes natively where no compiler is", async () => {
      expect((await run("command -v c++ g++ gcc cc clang++ clang")).stdout).toBe("");
      const { auto } = await info();
      expect(auto.name).toBe("native");
      expect((await run("npx --no-install foretoken info")).stdout).toMatch(
        /^auto +native: the fastest backend here/mu,
      );
      expect(existsSync(inProject("foretoken/dist/backend/implementations/native/foretoken.linux-x64.node"))).toBe(
        false,
      );
    });

    it("has one library with the instruction sets that are compiled: all of them, where CI compiles all", async () => {
      const files = await readdir(inProject("@foretoken/native-linux-x64"));
      expect(files.sort()).toEqual(["LICENSE", "README.md", "foretoken.linux-x64.node", "package.json"]);
      const { names, complete } = builtSets();
      expect(await readFile(inProject("@foretoken/native-linux-x64/README.md"), "utf8")).toContain(names.join(", "));
      const { backends } = await info();
      expect(names).toEqual(expect.arrayContaining(backends[0]?.instructionSets ?? []));
      if (process.env.FORETOKEN_BUILD_ISA === "all") {
        expect({ names, complete }).toEqual({
          names: ["baseline", "avx2", "avx512", "avx512bf16", "amx"],
          complete: true,
        });
      }
    });

    it("names the oldest C library that the kernels work with", async () => {
      const minor = neededLibc(await readFile(addon));
      expect(minor).toBeGreaterThanOrEqual(17);
      expect(await readFile(inProject("@foretoken/native-linux-x64/README.md"), "utf8")).toContain(`glibc 2.${minor}`);
    });

    it("has a dry run of npm publish without a warning, each of its two packages", async () => {
      // A registry without packages. So no request leaves the machine.
      const registry = createServer((_, response) => response.writeHead(404).end("{}"));
      await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
      const place = `127.0.0.1:${(registry.address() as AddressInfo).port}/`;
      try {
        for (const tarball of installed.tarballs) {
          const settings = `--registry "http://${place}" "--//${place}:_authToken=none"`;
          const { status, stdout, stderr } = await shell(
            `npm publish --dry-run ${settings} "${tarball}"`,
            installed.project,
          );
          expect(stderr.split("\n").filter((line) => /^npm (?:warn|error)/iu.test(line))).toEqual([]);
          expect(stdout).toMatch(/^\+ (@foretoken\/native-linux-x64|foretoken)@/mu);
          expect(status).toBe(0);
        }
      } finally {
        registry.close();
      }
    });

    it("names its package and the command that installs it where it was left out", async () => {
      const path = inProject("@foretoken");
      await rename(path, `${path}-aside`);
      try {
        const { auto } = await info();
        expect(auto.name).toBe("wasm");
        expect(auto.advice).toMatch(
          /; to install them \(package @foretoken\/native-linux-x64\): npm install --include=optional$/u,
        );
      } finally {
        await rename(`${path}-aside`, path);
      }
    });

    it("refuses kernels of another version by both versions, and goes on with WebAssembly", async () => {
      const path = inProject("@foretoken/native-linux-x64/package.json");
      const text = await readFile(path, "utf8");
      const { version } = JSON.parse(text);
      await writeFile(path, text.replace(`"version": "${version}"`, '"version": "0.0.9"'));
      try {
        const { auto } = await info();
        expect(auto.name).toBe("wasm");
        expect(auto.why).toContain(`must have the version of this package, ${version}; got 0.0.9`);
        expect(auto.advice).toContain("several times slower than native kernels; native backend: @foretoken/native-");
      } finally {
        await writeFile(path, text);
      }
    });
  },
);

describe("the clone", () => {
  it("depends on no package that is not published: anybody could take its name", async () => {
    const manifests = ["package.json", "templates/page/package.json", "templates/node/package.json"];
    for (const path of manifests) {
      const { dependencies = {}, optionalDependencies = {} } = JSON.parse(await readFile(join(root, path), "utf8"));
      expect(optionalDependencies).toEqual({});
      const unpublished = Object.entries(dependencies).filter(([name]) => /foretoken/u.test(name));
      expect(unpublished.filter(([, spec]) => spec !== "file:../..")).toEqual([]);
    }
    expect(await readFile(join(root, "package-lock.json"), "utf8")).not.toContain("@foretoken/");
  });
});
