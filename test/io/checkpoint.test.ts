import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, truncate, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CheckpointError } from "#foretoken/core/errors/errors.js";
import { recoverCheckpoint, writeCheckpoint } from "#foretoken/io/checkpoint.node.js";
import { readCheckpoint } from "#foretoken/io/read-checkpoint.node.js";
import { readSafetensors, writeSafetensors } from "#foretoken/io/safetensors.js";
import { useStoppedWriter } from "./stopped-writer.ts";

let folder = "";
let checkpoint = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-checkpoint-"));
  checkpoint = join(folder, "runs", "last");
});
afterEach(() => rm(folder, { recursive: true }));

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const siblings = (): Promise<string[]> => readdir(join(checkpoint, ".."));

const messageOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(CheckpointError);
  return (error as CheckpointError).message;
};

describe("a checkpoint", () => {
  it("holds exactly the files of its last writing", async () => {
    await writeCheckpoint(checkpoint, {
      "config.json": "{}",
      "model.bin": [Uint8Array.of(1, 2), Uint8Array.of(3)],
      empty: "",
    });
    const { files: read } = await readCheckpoint(checkpoint, ["model.bin", "config.json", "empty"]);
    expect([...read["model.bin"]]).toEqual([1, 2, 3]);
    expect(text(read["config.json"])).toBe("{}");
    expect(read.empty.length).toBe(0);
    await writeCheckpoint(checkpoint, { "config.json": "{1}" });
    expect((await readdir(checkpoint)).sort()).toEqual(["config.json", "manifest.json"]);
    expect(await siblings()).toEqual(["last"]);
  });

  it("that is missing, or misses a file, is refused by name", async () => {
    expect(await messageOf(readCheckpoint(checkpoint, ["config.json"]))).toContain(
      `${checkpoint}: the path must name a model; got no such file or folder; try `,
    );
    await writeCheckpoint(checkpoint, { "config.json": "{}" });
    expect(await messageOf(readCheckpoint(join(checkpoint, "config.json"), ["config.json"]))).toContain(
      "the path must name a model; got a file that is not a model",
    );
    expect(await messageOf(readCheckpoint(checkpoint, ["config.json", "model.safetensors"]))).toBe(
      `${join(checkpoint, "model.safetensors")}: a checkpoint must have model.safetensors; got no such file; try a complete copy of the folder`,
    );
    await mkdir(join(checkpoint, "tokenizer.json"));
    expect(await messageOf(readCheckpoint(checkpoint, ["tokenizer.json"]))).toMatch(
      /tokenizer\.json: the path must be a regular file; got a folder/,
    );
  });

  it("that is in a folder of the one that is named is what the error suggests", async () => {
    await writeCheckpoint(checkpoint, { "config.json": "{}" });
    for (const named of [join(folder, "runs"), folder]) {
      expect(await messageOf(readCheckpoint(named, ["config.json"]))).toBe(
        `${join(named, "config.json")}: a checkpoint must have config.json; got no such file; try ${checkpoint}`,
      );
    }
  });

  it("with a truncated model is refused by the reader of the model", async () => {
    const model = writeSafetensors([{ name: "w", shape: [4], data: new Float32Array(4) }]);
    await writeCheckpoint(checkpoint, { "model.safetensors": model });
    const path = join(checkpoint, "model.safetensors");
    await truncate(path, model.length - 1);
    expect(await messageOf(readCheckpoint(checkpoint, ["model.safetensors"]))).toMatch(
      /model\.safetensors: the file must match its SHA-256 in manifest\.json; got 79 bytes/,
    );
    await unlink(join(checkpoint, "manifest.json"));
    const bytes = (await readCheckpoint(checkpoint, ["model.safetensors"])).files["model.safetensors"];
    expect(() => readSafetensors(bytes, path)).toThrow(CheckpointError);
    expect(() => readSafetensors(bytes, path)).toThrow(
      `${path}: tensor "w": data_offsets must lie within the 15 bytes`,
    );
  });

  it("that cannot be written leaves what was there, and nothing else", async () => {
    await writeCheckpoint(checkpoint, { a: "old" });
    const unwritable = {
      [Symbol.iterator]: () => {
        throw new Error("the disk is full");
      },
    } as unknown as Uint8Array[];
    expect(await messageOf(writeCheckpoint(checkpoint, { a: "new", b: unwritable }))).toContain("got the disk is full");
    expect(text((await readCheckpoint(checkpoint, ["a"])).files.a)).toBe("old");
    expect(await siblings()).toEqual(["last"]);

    const file = join(folder, "file");
    await writeFile(file, "mine");
    expect(await messageOf(writeCheckpoint(file, { a: "new" }))).toContain(
      `${file}: the folder must be new, empty or a checkpoint that foretoken wrote; got a file`,
    );
    expect(await messageOf(writeCheckpoint(join(file, "below"), { a: "new" }))).toContain("must be writable");
    expect((await readdir(folder)).sort()).toEqual(["file", "runs"]);
  });

  it.each(["../a", "a/b/c", "a/", "/a", "a/..", "./a", "", ".", ".."])("takes no file called %j", async (name) => {
    expect(await messageOf(writeCheckpoint(checkpoint, { [name]: "x" }))).toContain("must be plain names");
    expect(await readdir(folder)).toEqual([]);
  });

  it("clears what a killed writer left of it, and nothing of its neighbours", async () => {
    const parent = join(checkpoint, "..");
    const leftovers = [".tmp-0123456789ab-last", ".old-last"];
    const others = [".tmp-0123456789ab-last-2", ".tmp-x-last", "other"];
    for (const name of [...leftovers, ...others]) await mkdir(join(parent, name), { recursive: true });
    await writeCheckpoint(checkpoint, { a: "1" });
    expect((await siblings()).sort()).toEqual([...others, "last"].sort());
  });

  it("is read, and found again, between the two renames of its replacement", async () => {
    await writeCheckpoint(checkpoint, { a: "old" });
    await rename(checkpoint, join(checkpoint, "..", ".old-last"));
    expect(text((await readCheckpoint(checkpoint, ["a"])).files.a)).toBe("old");
    expect(await siblings()).toEqual([".old-last"]);
    await recoverCheckpoint(checkpoint);
    expect(await siblings()).toEqual(["last"]);
    await unlink(join(checkpoint, "a"));
    await recoverCheckpoint(join(folder, "no-parent", "last"));
  });
});

describe("what is not ours", () => {
  it("is never replaced: a folder, a file or a link that this program did not write", async () => {
    const parent = join(checkpoint, "..");
    await mkdir(checkpoint, { recursive: true });
    await writeFile(join(checkpoint, "config.json"), "{}");
    expect(await messageOf(writeCheckpoint(checkpoint, { a: "1" }))).toMatch(
      /must be new, empty or a checkpoint that foretoken wrote; got a folder that foretoken did not write/u,
    );
    expect(await readdir(checkpoint)).toEqual(["config.json"]);
    await writeCheckpoint(join(parent, "other"), { a: "other" });
    await symlink(join(parent, "other"), join(parent, "link"));
    expect(await messageOf(writeCheckpoint(join(parent, "link"), { a: "1" }))).toContain("got a link");
    expect(text((await readCheckpoint(join(parent, "other"), ["a"])).files.a)).toBe("other");
  });

  it("moves on to the checkpoint that takes the place of the one it was put in", async () => {
    await writeCheckpoint(checkpoint, { a: "1" });
    await writeFile(join(checkpoint, "notes.txt"), "mine");
    await mkdir(join(checkpoint, "pictures"));
    await writeCheckpoint(checkpoint, { a: "2" });
    expect((await readdir(checkpoint)).sort()).toEqual(["a", "manifest.json", "notes.txt", "pictures"]);
    expect(text((await readCheckpoint(checkpoint, ["a"])).files.a)).toBe("2");
    expect(await siblings()).toEqual(["last"]);
  });

  it("stays in a folder of its own within the folder of the one before", async () => {
    await writeCheckpoint(checkpoint, { a: "1", "inner/b": "1" });
    await writeFile(join(checkpoint, "inner", "notes.txt"), "mine");
    await writeCheckpoint(checkpoint, { a: "2", "inner/b": "2" });
    expect((await siblings()).sort()).toEqual([".old-last", "last"]);
    expect((await readdir(join(checkpoint, "..", ".old-last", "inner"))).sort()).toEqual(["b", "notes.txt"]);
    expect(text((await readCheckpoint(checkpoint, ["inner/b"])).files["inner/b"])).toBe("2");
  });

  it.each(["file", "link"])("stays under the name of the one before: a %s", async (kind) => {
    const old = join(checkpoint, "..", ".old-last");
    await mkdir(join(checkpoint, ".."), { recursive: true });
    if (kind === "file") await writeFile(old, "mine");
    else await symlink(folder, old);
    expect(await messageOf(writeCheckpoint(checkpoint, { a: "1" }))).toContain(`got a ${kind}`);
    expect(await siblings()).toEqual([".old-last"]);
  });

  it("stays where it is in a name that a killed writer's folder would have", async () => {
    const parent = join(checkpoint, "..");
    const old = join(parent, ".old-last");
    const left = join(parent, ".tmp-0123456789ab-last");
    for (const path of [old, left]) {
      await mkdir(path, { recursive: true });
      await writeFile(join(path, "letter.txt"), "Dear");
    }
    await mkdir(checkpoint);
    expect(await messageOf(writeCheckpoint(checkpoint, { a: "1" }))).toContain(
      "got a folder that foretoken did not write",
    );
    expect(await readdir(old)).toEqual(["letter.txt"]);
    await rm(old, { recursive: true });
    await writeCheckpoint(checkpoint, { a: "1" });
    expect(await readdir(left)).toEqual(["letter.txt"]);
  });
});

describe("a manifest", () => {
  it("finds every single bit that has flipped, in every file and in itself", async () => {
    const files = { "config.json": '{"a": 1}\n', "model.bin": Uint8Array.of(0, 1, 2, 255) };
    await writeCheckpoint(checkpoint, files, { run: { step: 3, config: "0".repeat(64) } });
    let found = 0;
    for (const name of ["config.json", "model.bin", "manifest.json"]) {
      const path = join(checkpoint, name);
      const bytes = await readFile(path);
      for (let bit = 0; bit < 8 * bytes.length; bit++) {
        const flipped = Uint8Array.from(bytes);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        await writeFile(path, flipped);
        const outcome = await readCheckpoint(checkpoint, ["config.json", "model.bin"]).catch((error: unknown) => error);
        if (outcome instanceof CheckpointError) found++;
        // A flipped bit in a manifest may do no harm, or it may remove the mark of our files. But other contents must
        // never pass the check.
        else {
          expect(name).toBe("manifest.json");
          const read = outcome as Awaited<ReturnType<typeof readCheckpoint<"config.json" | "model.bin">>>;
          expect(text(read.files["config.json"])).toBe(files["config.json"]);
        }
      }
      await writeFile(path, bytes);
    }
    expect(found).toBeGreaterThan(8 * 13);
  });

  it.each(["", "\0\0\0\0", '{"foretoken check'])(
    "that is cut off or blank is damaged, not absent: %j",
    async (left) => {
      await writeCheckpoint(checkpoint, { a: "1" });
      await writeFile(join(checkpoint, "manifest.json"), left);
      expect(await messageOf(readCheckpoint(checkpoint, ["a"]))).toMatch(
        /manifest\.json: the file must list .*; got a damaged file/u,
      );
    },
  );

  it("of another program is none of ours: the folder is read unchecked", async () => {
    await mkdir(checkpoint, { recursive: true });
    await writeFile(join(checkpoint, "a"), "1");
    for (const contents of [undefined, '{"name": "a page", "icons": []}']) {
      if (contents !== undefined) await writeFile(join(checkpoint, "manifest.json"), contents);
      const { files, manifest } = await readCheckpoint(checkpoint, ["a"]);
      expect(text(files.a)).toBe("1");
      expect(manifest).toBeNull();
    }
  });
});

describe.skipIf(process.platform === "win32")("a checkpoint's files", () => {
  it("are read as regular files only: no link is followed, no pipe waited for", async () => {
    await writeCheckpoint(checkpoint, { a: "1", b: "2" });
    const secret = join(folder, "secret");
    await writeFile(secret, "1");
    await unlink(join(checkpoint, "a"));
    await symlink(secret, join(checkpoint, "a"));
    expect(await messageOf(readCheckpoint(checkpoint, ["a"]))).toMatch(
      /a: the path must be a regular file; got a link/u,
    );
    await unlink(join(checkpoint, "b"));
    execFileSync("mkfifo", [join(checkpoint, "b")]);
    expect(await messageOf(readCheckpoint(checkpoint, ["b"]))).toMatch(/must be a regular file; got something else/u);
  });
});

/** The files of a version. Each file contains the version 4000 times. */
const filesOf = (version: number) => {
  const all = `${version}`.padStart(8, "0").repeat(4000);
  return { "a.txt": all, "b.bin": [new TextEncoder().encode(all)], "inner/c.json": all, "inner/d": all };
};

/** The version that all files contain. */
const version = async (): Promise<number> => {
  const { files: read } = await readCheckpoint(checkpoint, ["a.txt", "b.bin", "inner/c.json", "inner/d"]);
  const versions = Object.values(read).map((bytes) => {
    expect(bytes.length).toBe(32_000);
    return new Set(text(bytes).match(/.{8}/g));
  });
  for (const other of versions) expect(other).toEqual(versions[0]);
  expect(versions[0]?.size).toBe(1);
  return Number([...(versions[0] ?? [])][0]);
};

describe("a writer that is killed", () => {
  const stopBefore = useStoppedWriter();

  it("before any of its operations leaves the old checkpoint or the new one", async () => {
    await writeCheckpoint(checkpoint, filesOf(0));
    let current = await version();
    expect(current).toBe(0);
    const outcomes = new Set<string>();
    for (let operation = 1; ; operation++) {
      const stopped = await stopBefore(operation, () => writeCheckpoint(checkpoint, filesOf(operation)));
      const after = await version();
      expect([current, operation]).toContain(after);
      outcomes.add(after === current ? "old" : "new");
      current = after;
      if (!stopped) break;
      expect(operation).toBeLessThan(200);
    }
    expect([...outcomes].sort()).toEqual(["new", "old"]);
    expect(await siblings()).toEqual(["last"]);
  });
});

describe("killing the process of a writer", () => {
  const writer = fileURLToPath(new URL("checkpoint-writer.mjs", import.meta.url));
  const start = (version: number) =>
    spawn(process.execPath, [writer, checkpoint, String(version)], { stdio: ["ignore", "pipe", "inherit"] });

  it("at random moments leaves one whole checkpoint, while others read it", async () => {
    let written = 0;
    for (let kill = 0; kill < 8; kill++) {
      const child = start(written + 1);
      const exit = once(child, "exit");
      // The process is killed at a random moment after at least one version has been written and read.
      for await (const chunk of child.stdout) {
        written = Math.max(written, ...String(chunk).trim().split("\n").map(Number));
        const seen = await version();
        expect(seen).toBeGreaterThanOrEqual(written);
        if (written % 7 >= kill % 7) child.kill("SIGKILL");
      }
      await exit;
      const left = await version();
      expect(left).toBeGreaterThanOrEqual(written);
      written = left;
    }
    // After a kill, a file that this writer does not know could be left without a manifest.
    await recoverCheckpoint(checkpoint, undefined, ["a.txt", "b.bin", "inner/c.json", "inner/d"]);
    await writeCheckpoint(checkpoint, { "a.txt": "done", "b.bin": "", "inner/c.json": "" });
    expect(await siblings()).toEqual(["last"]);
    expect(await readdir(join(checkpoint, "inner"))).toEqual(["c.json"]);
  }, 30_000);
});
