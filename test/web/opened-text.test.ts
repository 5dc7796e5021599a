/** The text of a file that a user opens in the studio or the lesson. */
import { expect, it } from "vitest";
import { decodeText } from "#foretoken/data/utf8.js";
import { openText } from "../../web/parts/opened-text.ts";

it.each(["a\nb\n", "a\r\nb\r\n\r\n", "a\rb", "a\r\r\nb\n\r", "\ufeffa\r\nb", "\ufeff\ufeffa", "Grüße, 🦊"])(
  "is the one that the commands read: %j",
  async (text) => {
    expect(await openText(new File([text], "a.txt"))).toEqual({
      text: decodeText(new TextEncoder().encode(text), "a.txt"),
    });
  },
);

const foreign = "a.txt is not UTF-8 text; save it as UTF-8, or choose another file.";

it.each([
  ["a.txt", [0x47, 0x72, 0xfc, 0xdf], foreign],
  ["a.txt", [0xff, 0xfe, 0x61, 0], foreign],
  ["a.txt", [0x61, 0, 0x62, 0], foreign],
  [
    "a.docx",
    [0x50, 0x4b, 3, 4, 0],
    "a.docx is a zip file, such as Word’s .docx; try to save it as plain text (UTF-8).",
  ],
  ["a.png", [0x89, 0x50, 0x4e, 0x47], "a.png is an image (PNG); try a text file (UTF-8)."],
  ["a.txt", [], "a.txt is an empty file; choose another file."],
])("is refused in one line: %s of %j", async (name, bytes, refused) => {
  expect(() => decodeText(new Uint8Array(bytes), name)).toThrow();
  expect(await openText(new File([new Uint8Array(bytes)], name))).toEqual({ refused });
});
