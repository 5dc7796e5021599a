// Makes the npm packages, in build/packages/ or in the folder given by --to:
//     node scripts/pack.mjs                       foretoken alone: it computes with WebAssembly
//     node scripts/pack.mjs --native              also the native kernels for Linux x64, as an optional package
//     node scripts/pack.mjs --repository URL      names the repository that builds the package, for provenance
// The package's package.json differs from the package.json of the clone. The package's file has no scripts, so that
// installing or linking executes nothing. The package's file has no development dependencies. It also names the
// optional package. The clone's package.json must not name the optional package before it is published, because anybody
// could publish another package with this name.
import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix, resolve } from "node:path";
import { parseArgs } from "node:util";
import { isMain, readStamp, root } from "./build/common.mjs";

const addonFile = "foretoken.linux-x64.node";
const addon = join(root, "dist/backend/implementations/native", addonFile);
const nativeName = "@foretoken/native-linux-x64";
/** Maximum minor version of glibc that the addon may need. Ubuntu 22.04 has glibc 2.35. */
const newestLibc = 35;

const readJson = (path) => JSON.parse(readFileSync(join(root, path), "utf8"));

/**
 * Runs npm. Resolves to its standard output.
 * @param {string[]} args
 * @param {string} cwd
 * @returns {Promise<string>}
 */
const npm = (args, cwd) =>
  new Promise((resolve, reject) => {
    // On Windows, npm is a script, and only a shell can execute it.
    const options = { cwd, shell: process.platform === "win32", maxBuffer: 2 ** 26 };
    execFile("npm", [...args, "--ignore-scripts", "--loglevel=error"], options, (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(stderr || error.message)),
    );
  });

/**
 * Packs `folder` into the folder `to`, which may be new. Resolves to npm's description of the packed file. @returns
 * {Promise<{ filename: string, size: number, unpackedSize: number, files: { path: string, size: number }[] }>}
 */
export const pack = async (folder, to) => {
  mkdirSync(to, { recursive: true });
  // npm works in `folder`, so a relative path would be relative to `folder`.
  const [packed] = JSON.parse(await npm(["pack", "--json", "--pack-destination", resolve(to)], folder));
  return packed;
};

/** Calls `work` with a temporary folder and removes the folder afterwards. */
const inTemporaryFolder = async (work) => {
  const folder = mkdtempSync(join(tmpdir(), "foretoken-pack-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

const writeJson = (path, value) => writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);

/** A package can name the repository that built it. npm then checks that the provenance names the same repository. */
const withRepository = (repository) =>
  repository === undefined ? {} : { repository: { type: "git", url: repository } };

/** Fields of package.json that only the clone needs. */
const publishedManifest = ({ native, repository }) => {
  const { scripts, devDependencies, files, ...published } = readJson("package.json");
  const optional = native ? { optionalDependencies: { [nativeName]: published.version } } : {};
  return { ...published, ...optional, ...withRepository(repository) };
};

/**
 * Declaration files that TypeScript reads for users of the package: the declaration files of the exports, and all files
 * that they import.
 * @param {string[]} entries
 * @returns {Set<string>}
 */
export const declarationsFrom = (entries) => {
  const reached = new Set();
  const visit = (path) => {
    if (reached.has(path)) return;
    reached.add(path);
    // In declaration files, imports have only two forms: import or export … from "./x.ts", and import("./x.ts").
    for (const [, name] of readFileSync(join(root, path), "utf8").matchAll(/\b(?:from|import)\s*\(?\s*"(\.[^"]+)"/g))
      visit(posix.join(posix.dirname(path), name.replace(/\.[jt]s$/, ".d.ts")));
  };
  entries.forEach(visit);
  return reached;
};

/** Whether a file belongs in the package: all files that npm lists, except declarations that no user can import. */
const isPublished = () => {
  const entries = Object.values(readJson("package.json").exports).flatMap(({ types }) => (types ? [types] : []));
  const declarations = declarationsFrom(entries.map((path) => posix.normalize(path)));
  return (path) => !path.endsWith(".d.ts") || declarations.has(path);
};

/**
 * Packs foretoken from the built files.
 * @param {{ to: string, native?: boolean, repository?: string }} options native: names the prebuilt kernels
 */
export const packMain = ({ to, native = false, repository }) =>
  inTemporaryFolder(async (folder) => {
    const [{ files }] = JSON.parse(await npm(["pack", "--json", "--dry-run"], root));
    const published = isPublished();
    for (const { path } of files.filter(({ path }) => published(path))) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      copyFileSync(join(root, path), join(folder, path));
    }
    writeJson(join(folder, "package.json"), publishedManifest({ native, repository }));
    return pack(folder, to);
  });

/** The instruction sets of the built addon, and whether the addon has all existing sets. */
export const builtSets = () => {
  const names = readStamp("native", addon)?.split(": ").at(-1)?.split(",") ?? [];
  return { names: names.filter((name) => name !== "all"), complete: names.includes("all") };
};

/** Minimum minor version of the C library (glibc 2.N) that a library needs. */
export const neededLibc = (bytes) => {
  const minors = [...bytes.toString("latin1").matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
  return Math.max(...minors, 0);
};

const nativeReadme = (sets, libc) => `# ${nativeName}

The native kernels of foretoken for Linux on x64, compiled for ${sets.join(", ")}: the best that the CPU has is taken at start.
foretoken depends on this package and finds it by itself. It needs glibc 2.${libc} or later; elsewhere foretoken computes with
WebAssembly.
`;

/**
 * Packs the native kernels that are built.
 * @param {{ to: string, repository?: string }} options
 */
export const packNative = ({ to, repository }) =>
  inTemporaryFolder(async (folder) => {
    const { version, license, publishConfig, engines } = readJson("package.json");
    const libc = neededLibc(readFileSync(addon));
    writeJson(join(folder, "package.json"), {
      name: nativeName,
      version,
      description: "The native kernels of foretoken for Linux on x64.",
      license,
      os: ["linux"],
      cpu: ["x64"],
      libc: ["glibc"],
      main: addonFile,
      engines,
      publishConfig,
      // A program cannot load a library from an archive. So package managers should unpack this package.
      preferUnplugged: true,
      ...withRepository(repository),
    });
    writeFileSync(join(folder, "README.md"), nativeReadme(builtSets().names, libc));
    copyFileSync(join(root, "LICENSE"), join(folder, "LICENSE"));
    copyFileSync(addon, join(folder, addonFile));
    return pack(folder, to);
  });

/** Fails if the build must not be published. */
const checkBuilt = (native) => {
  const needed = ["dist/cli/main.js", "dist/command/run.js", "dist/foretoken.browser.js", "dist/studio/index.html"];
  // If both WebAssembly sets are built, the bundle contains both.
  needed.push(
    ...["kernels.wasm", "kernels.relaxed-simd.wasm"].map((name) => `dist/backend/implementations/wasm/${name}`),
  );
  const build = `FORETOKEN_BUILD_ISA=${native ? "all" : "relaxed-simd"} npm run build`;
  const missing = needed.find((path) => !existsSync(join(root, path)));
  if (missing !== undefined) throw new Error(`pack: ${missing} must exist; try ${build}`);
  if (!native) return;
  if (!existsSync(addon)) throw new Error(`pack: ${addonFile} must exist; try ${build}, on Linux x64`);
  const { names, complete } = builtSets();
  if (!complete) {
    throw new Error(`pack: every instruction set must be compiled; got ${names.join(", ")}; try ${build}`);
  }
  const libc = neededLibc(readFileSync(addon));
  if (libc > newestLibc) {
    throw new Error(
      `pack: the kernels must run with glibc 2.${newestLibc}; got ones that need 2.${libc}; try an older system`,
    );
  }
};

const main = async () => {
  const { values } = parseArgs({
    options: { native: { type: "boolean" }, repository: { type: "string" }, to: { type: "string" } },
  });
  const { native = false, repository, to = join(root, "build/packages") } = values;
  checkBuilt(native);
  const packed = [await packMain({ to, native, repository })];
  if (native) packed.push(await packNative({ to, repository }));
  for (const { filename, size } of packed) console.log(`${join(to, filename)}  ${(size / 1e6).toFixed(2)} MB`);
};

if (isMain(import.meta.url)) {
  try {
    await main();
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
