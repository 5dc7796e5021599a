/** The library's types as TypeScript sees them, from the exports of both entries. */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

export const root = fileURLToPath(new URL("../..", import.meta.url));
export const entries = { foretoken: `${root}src/index.ts`, "foretoken/browser": `${root}src/browser.ts` } as const;

const readConfig = (): ts.CompilerOptions => {
  const { config } = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const { tsBuildInfoFile: _, ...rest } = options;
  return { ...rest, noEmit: true, incremental: false };
};
export const options = readConfig();

/** A user's program that is open in an editor but not saved on disk. */
export const edited = {
  file: `${root}src/example-of-an-editor.ts`,
  text: `import { generate, train, type LanguageModel } from "./index.ts";
    train({ data: "notes.txt", valData: "b.txt", threads: 2, out: "a" });
    train({ resume: "a" });
    train({ text: "a", config: { model: { nLayer: 2, mlp: { kind: "swiglu", hidden: 8 } }, train: { steps: 1 } } });
    declare const lm: LanguageModel;
    generate(lm, { prompt: "a", temperature: 1 });
    `,
};

const readSource = (name: string): string | undefined => (name === edited.file ? edited.text : ts.sys.readFile(name));

/** The language service of an editor. All these tests share its program, because reading the sources takes seconds. */
export const service = ts.createLanguageService({
  getCompilationSettings: () => options,
  getScriptFileNames: () => [...Object.values(entries), edited.file],
  getScriptVersion: () => "1",
  getScriptSnapshot: (name) => {
    const found = readSource(name);
    return found === undefined ? undefined : ts.ScriptSnapshot.fromString(found);
  },
  getCurrentDirectory: () => root,
  getDefaultLibFileName: ts.getDefaultLibFilePath,
  fileExists: (name) => name === edited.file || ts.sys.fileExists(name),
  readFile: readSource,
  directoryExists: ts.sys.directoryExists,
  getDirectories: ts.sys.getDirectories,
});

const programOf = (): ts.Program => {
  const found = service.getProgram();
  if (found === undefined) throw new Error("an editor has a program");
  return found;
};
const program = programOf();
export const checker = program.getTypeChecker();

/** A parsed file, for use in another program. */
export const parsed = (path: string): ts.SourceFile | undefined => program.getSourceFile(path);

export const sourceOf = (path: string): ts.SourceFile => {
  const source = program.getSourceFile(path);
  if (source === undefined) throw new Error(`no ${path}`);
  return source;
};

/** The exports of an entry, with aliases resolved. */
export const exportsOf = (entry: string): readonly ts.Symbol[] => {
  const module = checker.getSymbolAtLocation(sourceOf(entry));
  if (module === undefined) throw new Error(`${entry} is no module`);
  return checker
    .getExportsOfModule(module)
    .map((symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol));
};

/**
 * The declaration of a symbol in this project's sources. Undefined if the symbol is from a package or from the
 * language.
 */
export const ownDeclaration = (symbol: ts.Symbol): ts.Declaration | undefined =>
  symbol.declarations?.find((node) => node.getSourceFile().fileName.startsWith(`${root}src/`));

export const placeOf = (node: ts.Node): string => {
  const source = node.getSourceFile();
  const { line } = source.getLineAndCharacterOfPosition(node.getStart());
  return `${relative(root, source.fileName)}:${line + 1}`;
};

export const docOf = (symbol: ts.Symbol): string => ts.displayPartsToString(symbol.getDocumentationComment(checker));

/** Documentation of a symbol with its tags, such as `@throws`. */
export const wholeDocOf = (symbol: ts.Symbol): string =>
  [docOf(symbol), ...symbol.getJsDocTags(checker).map(({ text }) => ts.displayPartsToString(text))].join("\n");

/** The string values that the fields of these symbols can have, such as the values of `kind`. */
export const literalsOf = (symbols: readonly ts.Symbol[]): ReadonlySet<string> => {
  const texts = new Set<string>();
  for (const symbol of symbols) {
    const type = checker.getTypeOfSymbol(symbol);
    for (const member of type.isUnion() ? type.types : [type]) if (member.isStringLiteral()) texts.add(member.value);
  }
  return texts;
};

/** Every symbol that a user of an entry can see: exports, members of exports, and members of these members. */
export const publicSymbols = (entry: string): readonly ts.Symbol[] => {
  const seen = new Set<ts.Symbol>();
  const visitType = (type: ts.Type): void => {
    for (const argument of checker.isArrayType(type) ? checker.getTypeArguments(type as ts.TypeReference) : []) {
      visitType(argument);
    }
    if (type.isUnion()) for (const member of type.types) visitType(member);
    for (const signature of [...type.getCallSignatures(), ...type.getConstructSignatures()]) {
      for (const parameter of signature.parameters) visit(parameter);
    }
    if (type.symbol === undefined || ownDeclaration(type.symbol) === undefined) return;
    for (const property of checker.getPropertiesOfType(type)) visit(property);
  };
  const visit = (symbol: ts.Symbol): void => {
    const declaration = ownDeclaration(symbol);
    if (declaration === undefined || seen.has(symbol)) return;
    seen.add(symbol);
    visitType(checker.getTypeOfSymbol(symbol));
    if (symbol.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias | ts.SymbolFlags.Class)) {
      visitType(checker.getDeclaredTypeOfSymbol(symbol));
    }
  };
  for (const symbol of exportsOf(entry)) visit(symbol);
  return [...seen];
};

/** The exported names of each module of this project. */
export const ownNames = (): ReadonlySet<string> => {
  const names = new Set<string>();
  for (const source of program.getSourceFiles()) {
    if (!source.fileName.startsWith(`${root}src/`)) continue;
    const module = checker.getSymbolAtLocation(source);
    for (const { name } of module === undefined ? [] : checker.getExportsOfModule(module)) names.add(name);
  }
  return names;
};
