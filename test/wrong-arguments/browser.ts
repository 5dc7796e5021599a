/** The package's entry for browsers, used in Node. */
import * as browser from "#foretoken/browser.js";
import { type Case, isDefined, isNumber, isPrimitive, openAndClose, optionCases } from "./case.ts";
import { type Setup, shortText, tinyConfig } from "./setup.ts";

const isDefinedPrimitive = (value: unknown): boolean => isDefined(value) && isPrimitive(value);

export const browserCases = (setup: Setup): readonly Case[] => [
  {
    name: "browser: openBackend",
    args: () => ["reference", {}],
    call: openAndClose(browser.openBackend),
    // The default of the browser entry would look for a page.
    allows: (value, place) => place > 0 || isDefined(value),
  },
  {
    name: "browser: loadPretrained",
    args: () => [setup.files, { backend: "reference" }],
    call: openAndClose(browser.loadPretrained),
    allows: (value, place) => place === 0 || isDefinedPrimitive(value),
  },
  ...optionCases(
    "browser: loadPretrained",
    ["adapter"],
    openAndClose((wrong) => browser.loadPretrained(setup.files, { backend: "reference", ...wrong })),
    isDefinedPrimitive,
  ),
  {
    // In Node, no page can start a worker. This error is also a ConfigError.
    name: "browser: loadInWorker",
    args: () => [setup.files, { backend: "reference" }],
    call: openAndClose(browser.loadInWorker),
  },
  { name: "browser: savePretrained", args: () => [setup.browserLm], call: browser.savePretrained },
  { name: "browser: saveGguf", args: () => [setup.browserLm, {}], call: browser.saveGguf },
  ...optionCases("browser: saveGguf", ["encoding", "embedding", "calibration", "name"], (wrong) =>
    browser.saveGguf(setup.browserLm, wrong),
  ),
  { name: "browser: saveOnnx", args: () => [setup.browserLm, {}], call: browser.saveOnnx },
  { name: "browser: saveAdapter", args: () => [setup.adaptedLm, {}], call: browser.saveAdapter },
  { name: "browser: evaluate", args: () => [setup.browserLm, { text: "the cat" }], call: browser.evaluate },
  ...optionCases("browser: evaluate", ["text", "signal", "onProgress", "other"], (wrong) =>
    browser.evaluate(setup.browserLm, { text: "the cat", ...wrong }),
  ),
  { name: "browser: runToFolder", args: () => [{ text: shortText, last: setup.runFiles }], call: browser.runToFolder },
  {
    name: "browser: runFromFolder",
    args: () => [browser.runToFolder({ text: shortText, last: setup.runFiles })],
    call: browser.runFromFolder,
  },
  { name: "browser: zipFolder", args: () => [setup.files, "run"], call: browser.zipFolder },
  // In Node there is no private file system. This error is also a ConfigError.
  { name: "browser: openRunStore", args: () => ["run"], call: openAndClose(browser.openRunStore) },
  { name: "browser: openFileStore", args: () => ["run"], call: openAndClose(browser.openFileStore) },
  { name: "browser: train", args: () => [{ text: "" }], call: browser.train },
  ...optionCases(
    "browser: train",
    [
      ...["text", "valText", "valFraction", "preset", "prompt", "finalSampleTokens", "backend", "threads", "stopAt"],
      ...["profile", "signal", "onCheckpoint", "onAdapter", "worker", "initFrom", "keepBlocks", "resume", "steps"],
      ...["other"],
    ],
    (wrong) =>
      browser.train({
        ...{ text: shortText, backend: "reference", preset: "quick", config: tinyConfig, finalSampleTokens: 0 },
        ...wrong,
      } as never),
    (value, option) =>
      !(option === "finalSampleTokens" && (isNumber(value) || value === undefined)) &&
      !(option === "backend" && value === undefined),
  ),
];
