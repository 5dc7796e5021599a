/** A disk that fails, for code in the same process. From a certain call on, all calls that change something fail. */
import { constants as files } from "node:fs";
import fs, { type FileHandle } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { constants } from "node:os";
import { afterAll, beforeAll } from "vitest";

type Call = (...args: never[]) => unknown;

const systemError = (code: string, syscall: string, path: string): Error =>
  Object.assign(new Error(`${code}: the disk fails, ${syscall}${path === "" ? "" : ` '${path}'`}`), {
    ...{ code, syscall, errno: -((constants.errno as Readonly<Record<string, number>>)[code] ?? 1) },
    ...(path === "" ? {} : { path }),
  });

/** Calls that change something at a path. Removal is not in the list: it needs no space, so it never fails. */
const names = ["mkdir", "rename", "link", "open"] as const;

const isToWrite = (flags: unknown): boolean =>
  typeof flags === "number" ? (flags & (files.O_WRONLY | files.O_RDWR)) !== 0 : flags !== undefined && flags !== "r";

interface Fault {
  /** Error code. */
  readonly code: string;
  /** Calls outside this folder never fail. */
  readonly inside: string;
  /** The first call that fails. The value is a number, counted from 0, or a part of the path that the call gets. */
  readonly first: number | string;
}

/** A disk that works until a fault is set. */
export const useFailingDisk = () => {
  let fault: Fault | undefined;
  let calls = 0;
  let hasFailed = false;
  const undo: (() => void)[] = [];
  /** Counts a call. Throws if the call must fail. */
  const count = (syscall: string, path: string, named = path): void => {
    if (fault === undefined || !path.startsWith(fault.inside)) return;
    const { first, code } = fault;
    hasFailed ||= typeof first === "number" ? calls >= first : path.slice(fault.inside.length).includes(first);
    calls++;
    if (hasFailed) throw systemError(code, syscall, named);
  };

  const replace = (object: Record<string, Call>, name: string, by: (real: Call) => Call): void => {
    const real = object[name];
    if (real === undefined) throw new Error(`no ${name}`);
    object[name] = by(real);
    undo.push(() => {
      object[name] = real;
    });
  };
  beforeAll(async () => {
    const paths = new WeakMap<object, string>();
    const system = fs as unknown as Record<string, Call>;
    for (const name of names) {
      replace(system, name, (real) => async (...args: unknown[]) => {
        const [path, flags] = args;
        const changes = name !== "open" || isToWrite(flags);
        if (changes) count(name, String(path));
        const result = await real(...(args as never[]));
        if (name === "open") paths.set(result as FileHandle, String(path));
        return result;
      });
    }
    const file = await fs.open(process.execPath);
    const ofFiles = Object.getPrototypeOf(file) as Record<string, Call>;
    await file.close();
    for (const name of ["write", "sync"]) {
      replace(
        ofFiles,
        name,
        (real) =>
          async function (this: FileHandle, ...args: never[]) {
            // These calls have no file name.
            count(name === "sync" ? "fsync" : name, paths.get(this) ?? "", "");
            return Reflect.apply(real, this, args);
          },
      );
    }
    syncBuiltinESMExports();
  });
  afterAll(() => {
    for (const again of undo) again();
    syncBuiltinESMExports();
  });

  return {
    fail(how: Fault): void {
      [fault, calls, hasFailed] = [how, 0, false];
    },
    mend(): void {
      fault = undefined;
    },
  };
};
