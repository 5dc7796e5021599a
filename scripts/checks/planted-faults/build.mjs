// Builds a scratch tree that contains a fault, but only the parts that tests can notice.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ts from "typescript";
import { findCompiler } from "../../build/native.mjs";
import { runToEnd } from "./process.mjs";

/** Writes one file in the same way as the build. @param {string} tree @param {string} text */
const transpiled = (tree, file, text) => {
  const { config } = ts.readConfigFile(join(tree, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, tree);
  return ts.transpileModule(text, { compilerOptions: { ...options, declaration: false }, fileName: file }).outputText;
};

/**
 * @param {string} tree @param {boolean} compiles whether it will have faults in native/; otherwise the existing addon
 * is used
 */
export const builderOf = (tree, compiles) => {
  const objects = mkdtempSync(join(tmpdir(), "foretoken-objects-"));
  const compiler = compiles ? findCompiler() : undefined;
  const quick = compiler && ["node", join(import.meta.dirname, "quick-compiler.mjs"), ...compiler].join(" ");
  const env = { ...process.env, ...(quick && { CXX: quick }), FORETOKEN_FAULT_OBJECTS: objects };
  /** @returns {Promise<string | undefined>} the compilers' output if they failed */
  const run = async (script) => {
    const { code, output } = await runToEnd(process.execPath, [script], { cwd: tree, env });
    // Without the addon the build continues.
    return code !== 0 || output.includes("is not built") ? output : undefined;
  };
  const all = () => run("scripts/build.mjs");
  return {
    all,
    /**
     * Builds the outputs that the nearest tests of a changed file load. All listed faults compile, so types are not
     * checked again.
     * @param {string} file @param {string} before its text without the fault @param {string} text
     */
    nearest: async (file, before, text) => {
      if (file.startsWith("native/")) return run("scripts/build/native.mjs");
      // Tests import files of web/ directly.
      if (file.startsWith("web/")) return undefined;
      const output = join(tree, file.replace(/^src\//, "dist/").replace(/\.ts$/, ".js"));
      if (readFileSync(output, "utf8") !== transpiled(tree, file, before)) return all();
      writeFileSync(output, transpiled(tree, file, text));
      // The compiler did not write this file. So commands load their modules, and not the bundle.
      rmSync(join(tree, "dist/command/compiled.txt"), { force: true });
      return undefined;
    },
    close: () => rmSync(objects, { recursive: true, force: true }),
  };
};
