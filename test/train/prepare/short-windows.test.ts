import { expect, test } from "vitest";
import { presets } from "#foretoken/config/presets.js";
import { shortWindowsNotice } from "#foretoken/train/prepare/short-windows.js";

const runOf = (contextLength: number) => ({
  ...presets.shakespeare,
  model: { ...presets.shakespeare.model, contextLength },
});
const before = { contextLength: 8192 };

test("windows that are short only because of the text are named", () => {
  expect(shortWindowsNotice(runOf(17), before, {})).toContain("windows have 17 tokens, but the model has 8,192;");
  expect(shortWindowsNotice(runOf(64), before, {})).toBeUndefined();
  expect(shortWindowsNotice(runOf(32), { contextLength: 32 }, {})).toBeUndefined();
  expect(shortWindowsNotice(runOf(17), before, { model: { contextLength: 17 } })).toBeUndefined();
});
