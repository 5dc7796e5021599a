/** Names of new runs. The program chooses names, and the studio accepts names. */
import { expect, test } from "vitest";
import { defaultRunName } from "#foretoken/runs/begin/default-name.node.js";
import { newRunSchema } from "#foretoken/serve/studio/protocol.js";

test.each([
  ["हिन्दी.txt", "हिन्दी"],
  ["notes/தமிழ் நாடு.txt", "தமிழ்-நாடு"],
  ["ภาษาไทย (2).txt", "ภาษาไทย-2"],
  // Letters for which Unicode has no single character, and one letter for which it has a single character.
  ["x\u0304 e\u0301.txt", "x\u0304-é"],
  // Combining marks without a letter: in an emoji, and at the beginning.
  ["\u0301\u2764\ufe0f my notes\u2764\ufe0f.txt", "my-notes"],
  [`${"अ".repeat(39)}--b.txt`, "अ".repeat(39)],
  ["\u2764\ufe0f.txt", "text"],
])("the text %j gives a run the name %j", (text, expected) => {
  const name = defaultRunName(text).replace(/^\d{4}-\d\d-\d\d-\d{6}-/u, "");
  expect(name).toBe(expected);
  // The studio also accepts this name.
  expect(newRunSchema.shape.name.parse(name)).toBe(name);
});

test.each(["\u0301a", "a b", "a/\u0301", ""])("the studio refuses the name %j", (name) => {
  expect(newRunSchema.shape.name.safeParse(name).success).toBe(false);
});
