import { expect, test } from "vitest";
import { verbOf } from "#foretoken/serve/studio/elsewhere.js";

test.each([
  [["node", "/usr/lib/node_modules/foretoken/dist/cli/main.js", "train", "--out", "runs/a"], "train"],
  [["node", "--expose-gc", "/home/me/node_modules/.bin/foretoken", "studio"], "studio"],
  [["node", "/a b/dist/cli/main.js", "--verbose", "train"], "train"],
  // A text or a folder may have the name of a command, but it is not a command.
  [["node", "program.mjs", "train"], undefined],
  [["foretoken"], undefined],
  [[], undefined],
])("of the command line %j the command is %s", (words, verb) => {
  expect(verbOf(words)).toBe(verb);
});
