/** Tests how the starter's page reads the text of a file. */
import { describe, expect, test } from "vitest";
import { decodeText } from "#foretoken/data/utf8.js";
import { textOfFile } from "../../templates/page/text-file.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("the text of a file in the starter's page", () => {
  test.each(["a\nb\n", "a\r\nb\r\n\r\n", "a\rb", "a\r\r\nb\n\r", "\ufeffa\r\nb", "\ufeff\ufeffa", "Grüße, 🦊"])(
    "is the one that the commands read: %j",
    (text) => {
      expect(textOfFile(bytes(text), "a.txt")).toEqual({ text: decodeText(bytes(text), "a.txt") });
    },
  );

  test.each([
    ["Windows-1252", new Uint8Array([0x47, 0x72, 0xfc, 0xdf, 0x65])],
    ["UTF-16", new Uint8Array([0xff, 0xfe, 0x61, 0])],
    ["UTF-16 without its mark", new Uint8Array([0x61, 0, 0x62, 0])],
  ])("is none in %s", (_, encoded) => {
    expect(() => decodeText(encoded, "a.txt")).toThrow();
    expect(textOfFile(encoded, "a.txt")).toEqual({
      wrong: { title: "a.txt is not a text in UTF-8.", text: "Save it as UTF-8, or choose another file." },
    });
  });

  test("is none in a document of Word", () => {
    const start = new Uint8Array([0x50, 0x4b, 3, 4, 20, 0, 8, 0xff]);
    expect(textOfFile(start, "a.docx")).toEqual({
      wrong: { title: "a.docx is a zip file, such as a Word .docx.", text: "Save it as plain text (UTF-8)." },
    });
  });
});
