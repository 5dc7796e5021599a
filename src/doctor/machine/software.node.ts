/** Checks the software that Foretoken needs: Node.js, the native kernels, and the compiler that builds them. */
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { buildCommand, probeNative } from "../../backend/implementations/native/native.node.ts";
import { nativeInstructionSets } from "../../backend/instruction-sets.ts";
import type { BackendReport } from "../../backend/select.node.ts";
import { UnsupportedKernelError } from "../../core/errors/errors.ts";
import { formatPlural } from "../../core/text/format-numbers.ts";
import { type Check, ok, skipped, type Verdict, warning } from "../check.ts";

/** Minimum version of Node.js, as in package.json. */
export const leastNode = 20;

/** @param version version in the format of `process.version`. */
export const nodeVerdict = (version: string): Verdict => {
  const major = Number(/^v?(\d+)/u.exec(version)?.[1] ?? 0);
  if (major >= leastNode) return ok(`${version} (${leastNode} or newer is needed)`);
  return {
    status: "failed",
    fact: `${version}: must be ${leastNode} or newer`,
    advice: `install Node.js ${leastNode} or newer: https://nodejs.org`,
  };
};

/** Whether the user has turned native kernels off. */
const isHidden = ({ FORETOKEN_NO_NATIVE }: NodeJS.ProcessEnv): boolean => FORETOKEN_NO_NATIVE === "1";

/** Reason why native kernels cannot be loaded, and how to get them. */
const missingNative = (reason: string): Verdict => {
  const slower = "WebAssembly is used instead, which is several times slower";
  try {
    probeNative();
  } catch (error) {
    if (!(error instanceof UnsupportedKernelError)) throw error;
    const { must, got = "nothing", hint = slower } = error.details;
    return warning(`${must}; got ${got}. ${slower}`, hint);
  }
  return warning(reason, slower);
};

/** Checks native kernels with the report of `describeBackends`. */
export const nativeVerdict = ({ backends }: BackendReport): Verdict => {
  const native = backends.find(({ name }) => name === "native");
  if (native === undefined || isHidden(process.env)) return skipped("turned off by FORETOKEN_NO_NATIVE=1");
  if (!native.available) return missingNative(native.reason);
  const { instructionSet, notCompiled, threads } = native;
  const { FORETOKEN_ISA: asked = "" } = process.env;
  const fact = `${instructionSet}, ${formatPlural(threads, "thread")}`;
  // The first instruction set is the best. If a better instruction set is available, worse instruction sets are not
  // needed.
  const [best] = nativeInstructionSets.filter((set) => set === instructionSet || notCompiled.includes(set));
  if (best === undefined || best === instructionSet || asked !== "") return ok(fact);
  return warning(
    `${fact}; this machine supports ${best}, but the kernels were not compiled for it`,
    `FORETOKEN_BUILD_ISA=${best} ${buildCommand()}`,
  );
};

const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/**
 * The compiler that scripts/build/native.mjs uses: $CXX, which may contain arguments, or the first of three names on
 * the path. Undefined if no compiler was found.
 */
export const findCompiler = ({ CXX, PATH }: NodeJS.ProcessEnv): readonly string[] | undefined => {
  const named = CXX?.trim();
  if (named) return named.split(/\s+/u);
  const folders = (PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const found = ["c++", "g++", "clang++"].find((name) => folders.some((folder) => isProgram(join(folder, name))));
  return found === undefined ? undefined : [found];
};

/** First line of a compiler's error for an empty C++20 program. Undefined if the program compiles. */
const complaintOf = ([program = "", ...args]: readonly string[]): Promise<string | undefined> =>
  new Promise((resolve) => {
    const child = spawn(program, [...args, "-std=c++20", "-x", "c++", "-fsyntax-only", "-"], {
      stdio: ["pipe", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (text) => {
      said += text;
    });
    child.stdin.on("error", () => {});
    child.stdin.end("int main() {}\n");
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code) => resolve(code === 0 ? undefined : (said.split("\n")[0] ?? `status ${code}`)));
  });

const installCompiler = {
  darwin: "xcode-select --install",
  linux: "install g++ or clang, for example with apt install g++",
  win32: "no compiler is needed: WebAssembly is used on this system",
} as const;

/**
 * Checks the compiler, which is needed only to build native kernels.
 * @param hasNative whether native kernels are installed.
 */
export const compilerVerdict = async (env: NodeJS.ProcessEnv, hasNative: boolean): Promise<Verdict> => {
  const compiler = findCompiler(env);
  const complaint = compiler === undefined ? "no c++, g++ or clang++ on the path" : await complaintOf(compiler);
  if (complaint === undefined && compiler !== undefined) return ok(`${compiler.join(" ")} compiles C++20`);
  const fact = `${compiler === undefined ? "" : `${compiler.join(" ")}: `}${complaint}`;
  if (hasNative) return skipped(`${fact}; not needed, because native kernels are installed`);
  const { platform } = process;
  const how = platform in installCompiler ? installCompiler[platform as keyof typeof installCompiler] : undefined;
  return warning(fact, `${how ?? installCompiler.linux}; then ${buildCommand()}`);
};

export const softwareChecks = (report: BackendReport): readonly Check[] => {
  const hasNative = report.backends.some(({ name, available }) => name === "native" && available);
  const check = (name: string, run: () => Promise<Verdict>): Check => ({
    ...{ name, backend: null, run },
    advice: "to see facts about the machine and its backends: npx foretoken info",
  });
  return [
    check("node", async () => nodeVerdict(process.version)),
    check("native kernels", async () => nativeVerdict(report)),
    check("compiler", () => compilerVerdict(process.env, hasNative)),
  ];
};
