import { expect, it } from "vitest";
import { zipFolder } from "#foretoken/io/zip.js";
import { unzip } from "../support/unzip.ts";

it("a ZIP archive has the files of a folder below its name, and is the same for the same files", async () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const files = { "run.json": bytes("123456789"), "checkpoint/ä": bytes(""), "best/a": bytes("b") };
  const archive = zipFolder(files, "my run");
  expect(unzip(await archive.arrayBuffer())).toEqual({
    // The check value from the definition of CRC-32.
    "my run/run.json": { bytes: files["run.json"], crc: "cbf43926" },
    "my run/checkpoint/ä": { bytes: files["checkpoint/ä"], crc: "0" },
    "my run/best/a": { bytes: files["best/a"], crc: "71beeff9" },
  });
  expect(await zipFolder(files, "my run").text()).toBe(await archive.text());
});

it.each([
  [{ "../evil": new Uint8Array() }, "run", /files: must have paths below the folder.*got "\.\.\/evil"$/u],
  [{ "a\\b": new Uint8Array() }, "run", /files: must have paths below/u],
  [{ "C:x": new Uint8Array() }, "run", /files: must have paths below.*got "C:x"$/u],
  [{ "a/.. /b": new Uint8Array() }, "run", /files: must have paths below/u],
  [
    { "a/b": new Uint8Array(), "a-": new Uint8Array(), a: new Uint8Array() },
    "run",
    /must not have the same path for a file and a folder; got "a"$/u,
  ],
  [{ "/a": new Uint8Array() }, "run", /files: must have paths below/u],
  [{ ["a".repeat(65_536)]: new Uint8Array() }, "run", /files: must have paths below/u],
  [{ a: new Uint8Array() }, "../x", /name: must be the name of one folder/u],
  [{ a: new Uint8Array() }, "", /name: must/u],
  [{ a: new Uint8Array() }, "C:", /name: must be the name of one folder; got "C:"$/u],
  [
    Object.fromEntries(Array.from({ length: 65_535 }, (_, i) => [`${i}`, new Uint8Array()])),
    "run",
    /at most 65534 files; got 65535/u,
  ],
] as const)("names that no folder can have are refused", (files, name, expected) => {
  expect(() => zipFolder(files, name)).toThrow(expected);
});
