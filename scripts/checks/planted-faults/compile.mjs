// Checks whether a changed file still compiles, with TypeScript's language service or with the C++ compiler of this
// machine.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ts from "typescript";
import { commonFlags, compilableSets, findCompiler, unitsOfSet } from "../../build/native.mjs";
import { runToEnd } from "./process.mjs";

/**
 * @param {string} tree
 * @param {string} config a tsconfig.json of it
 * @returns {(file: string, text: string) => string | undefined} the reason if the text is refused
 */
const typeScriptOf = (tree, config) => {
  const parsed = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(tree, config), ts.sys.readFile).config,
    ts.sys,
    tree,
  );
  /** @type {{ path: string, text: string, version: number }} */
  let changed = { path: "", text: "", version: 0 };
  const service = ts.createLanguageService({
    getScriptFileNames: () => parsed.fileNames,
    getScriptVersion: (path) => (path === changed.path ? String(changed.version) : "0"),
    getScriptSnapshot: (path) => {
      if (path === changed.path) return ts.ScriptSnapshot.fromString(changed.text);
      return ts.sys.fileExists(path) ? ts.ScriptSnapshot.fromString(readFileSync(path, "utf8")) : undefined;
    },
    getCurrentDirectory: () => tree,
    getCompilationSettings: () => ({ ...parsed.options, incremental: false, tsBuildInfoFile: undefined, noEmit: true }),
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: ts.sys.fileExists,
    readFile: ts.sys.readFile,
    readDirectory: ts.sys.readDirectory,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
  });
  return (file, text) => {
    changed = { path: join(tree, file), text, version: changed.version + 1 };
    const [first] = [...service.getSyntacticDiagnostics(changed.path), ...service.getSemanticDiagnostics(changed.path)];
    return first && `does not compile: ${ts.flattenDiagnosticMessageText(first.messageText, " ")}`;
  };
};

/**
 * The compilations to try. The lowest instruction set is compiled completely, because many warnings come from the
 * optimizer. The highest instruction set has additional code, which is only parsed and type-checked.
 */
const compilationsOf = async (compiler) => {
  const sets = await compilableSets(compiler);
  const unitsOf = (set) => unitsOfSet(set).map(({ source, flags }) => [...flags, ...set.flags, source]);
  const common = ["branches", "dispatch", "parallel", "heap", "tables"].map((name) => [`native/${name}.cc`]);
  return [
    ...[...common, ...unitsOf(sets[0])].map((flags) => [...flags, "-c", "-o", "checked.o"]),
    ...unitsOf(sets.at(-1)).map((flags) => [...flags, "-fsyntax-only"]),
  ];
};

/** @returns {(file: string, text: string) => Promise<string | undefined>} */
const cppOf = (tree) => async (file, text) => {
  const compiler = findCompiler();
  if (compiler === undefined) throw new Error("faults of native/ need a C++ compiler");
  const folder = mkdtempSync(join(tmpdir(), "foretoken-fault-"));
  try {
    cpSync(join(tree, "native"), join(folder, "native"), { recursive: true });
    writeFileSync(join(folder, file), text);
    for (const flags of await compilationsOf(compiler)) {
      // In CI, a warning is an error.
      const [program, ...args] = [...compiler, ...commonFlags, "-Werror", ...flags];
      const { code, output } = await runToEnd(program, args, { cwd: folder });
      if (code !== 0) return `does not compile: ${/error: (.*)/.exec(output)?.[1] ?? output.slice(0, 200)}`;
    }
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

/**
 * @param {string} tree
 * @returns {(file: string, text: string) => Promise<string | undefined>} the reason if the text of the file is refused
 */
export const compilerOf = (tree) => {
  const made = new Map();
  const once = (name, make) => made.get(name) ?? made.set(name, make()).get(name);
  return async (file, text) => {
    if (file.startsWith("native/")) return once("cpp", () => cppOf(tree))(file, text);
    const config = file.startsWith("web/") ? "tsconfig.web.json" : "tsconfig.json";
    return once(config, () => typeScriptOf(tree, config))(file, text);
  };
};
