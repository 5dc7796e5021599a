import { spawn } from "node:child_process";
import { once } from "node:events";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { isBeingWritten, temporaryName, temporaryOf } from "#foretoken/io/temporary-names.node.js";

/** A temporary name of another process. This process exists until `end` is called. */
const nameOfOther = async (): Promise<{ readonly name: string; readonly end: () => Promise<void> }> => {
  const module = pathToFileURL("dist/io/temporary-names.node.js").href;
  const code = `import { temporaryName } from ${JSON.stringify(module)}; console.log(temporaryName("a-b.txt")); process.stdin.resume();`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const ended = once(child, "exit");
  return {
    name: line.toString().trim(),
    async end() {
      child.kill("SIGKILL");
      await ended;
    },
  };
};

it("a temporary name has the name of its file, and each is another", () => {
  const names = [1, 2, 3].map(() => temporaryName("a-b.txt"));
  expect(new Set(names).size).toBe(3);
  expect(names.map(temporaryOf)).toEqual(["a-b.txt", "a-b.txt", "a-b.txt"]);
  expect([".tmp-0123456789ab-x", ".tmp-x-last", "a.txt", ".tmp-0123-a"].map(temporaryOf)).toEqual(["x", ...Array(3)]);
});

it("a file is being written while its process runs, and its thread", async () => {
  const own = temporaryName("x");
  expect(isBeingWritten(own)).toBe(true);
  // Names from another thread of this process, names from another process with the same id, names in an earlier format,
  // and names of other files.
  expect(isBeingWritten(own.replace(/^(.{17}).{4}/u, "$10000"))).toBe(own.slice(17, 21) === "0000");
  expect(isBeingWritten(own.replace(/^(.{13}).{4}/u, "$10000"))).toBe(own.slice(13, 17) === "0000");
  expect([".tmp-0123456789ab-x", "x"].map(isBeingWritten)).toEqual([false, false]);
  // As a signed 32-bit number, such a process id would mean all processes.
  for (const pid of ["ffffffff", "00000000"]) {
    expect(isBeingWritten(own.replace(/^(\.tmp-).{8}/u, `$1${pid}`))).toBe(false);
  }
  const { name, end } = await nameOfOther();
  expect(temporaryOf(name)).toBe("a-b.txt");
  expect(isBeingWritten(name)).toBe(true);
  await end();
  expect(isBeingWritten(name)).toBe(false);
});
