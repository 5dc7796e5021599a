import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { cli, onWindows, workplace } from "../cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const isThere = (shell: string): boolean =>
  !onWindows && spawnSync(shell, ["-c", "true"], { stdio: "ignore" }).status === 0;
const without = (shell: string): string => (isThere(shell) ? "" : ` (there is no ${shell} here)`);

let cwd: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  const scripts = await Promise.all(["bash", "zsh", "fish"].map((shell) => cli(["completion", shell], { cwd })));
  for (const [i, name] of ["bash", "zsh", "fish"].entries()) {
    expect(scripts[i]).toMatchObject({ status: 0, stderr: "" });
    writeFileSync(join(cwd, `completion.${name}`), scripts[i]?.stdout ?? "");
  }
});

afterAll(() => remove());

/**
 * Bash's completions of the last word of each line. One space separates two words. One shell completes all lines, as
 * when a person types.
 */
const bashOffers = (lines: readonly string[]): readonly (readonly string[])[] => {
  const script = `
    source completion.bash
    complete=$(complete -p foretoken | sed -E 's/.*-F ([^ ]+).*/\\1/')
    for line in "$@"; do
      COMP_WORDS=()
      while [[ $line == *' '* ]]; do
        COMP_WORDS+=("\${line%% *}")
        line=\${line#* }
      done
      COMP_WORDS+=("$line")
      COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
      COMPREPLY=()
      $complete
      for word in "\${COMPREPLY[@]}"; do echo "$word"; done
      echo .
    done`;
  const out = execFileSync("bash", ["-c", script, "bash", ...lines], { cwd, encoding: "utf8" });
  const offers = out.split(/^\.\n/mu).slice(0, -1);
  return offers.map((words) => words.split("\n").filter((word) => word !== ""));
};

describe.skipIf(!isThere("bash"))(`bash${without("bash")}`, () => {
  const cases: readonly (readonly [line: string, offers: readonly string[]])[] = [
    ["foretoken ev", ["evaluate"]],
    ["foretoken --v", ["--version"]],
    ["foretoken help ge", ["generate"]],
    ["foretoken train --see", ["--seed"]],
    ["foretoken train --model.nL", ["--model.nLayer"]],
    ["foretoken train --preset bo", ["book"]],
    ["foretoken quantize runs --to q4", ["q4_1", "q4_0", "q4_k"]],
    ["foretoken export runs --format ", ["hf", "gguf", "onnx"]],
    ["foretoken export runs --adapter-o", ["--adapter-only"]],
    ["foretoken verify runs te", ["text.txt"]],
    ["foretoken train --preset = qu", ["quick"]],
    ["foretoken train --model.norm.kind ", ["layernorm", "rmsnorm"]],
    ["foretoken train --model.tieEmbeddings t", ["true"]],
    ["foretoken train --data te", ["text.txt"]],
    ["foretoken train --data mo", ["moby-dick"]],
    ["foretoken train --seed ", []],
    ["foretoken train ", []],
    ["foretoken generate te", ["text.txt"]],
    ["foretoken generate run --back", ["--backend"]],
    ["foretoken generate run --backend na", ["native"]],
    ["foretoken evaluate run --split ", ["val", "train", "all"]],
    ["foretoken comp", ["compare", "completion"]],
    ["foretoken sw", ["sweep"]],
    ["foretoken sweep te", ["text.txt"]],
    ["foretoken sweep run --jo", ["--jobs"]],
    ["foretoken compare text.txt te", ["text.txt"]],
    ["foretoken compare run --gr", ["--group"]],
    ["foretoken runs --sort ", ["time", "loss"]],
    ["foretoken doc", ["doctor"]],
    ["foretoken doctor --back", ["--backend"]],
    ["foretoken doctor te", ["text.txt"]],
    ["foretoken completion ", ["bash", "zsh", "fish"]],
    ["foretoken nonsense ", []],
  ];
  let offered: readonly (readonly string[])[] = [];
  beforeAll(() => {
    offered = bashOffers(cases.map(([line]) => line));
  });
  test.each(cases.map(([line, offers], i) => [line, offers, i] as const))("%j", (_, offers, i) => {
    expect(offered[i]).toEqual(offers);
  });

  test("every verb, and every flag of its help", async () => {
    const help = (await cli(["--help"], { cwd })).stdout;
    const [verbs = [], trainFlags = []] = bashOffers(["foretoken ", "foretoken train -"]);
    for (const [, verb] of help.matchAll(/^ {2}(\w+)(?: \[options\])? .*\S {2,}\w/gmu)) expect(verbs).toContain(verb);
    expect(verbs).toEqual(expect.arrayContaining(["train", "generate", "evaluate", "lesson", "runs", "info"]));
    const flags = (await cli(["train", "--help-all"], { cwd })).stdout.matchAll(/^ {2}(?:-\w, )?(--[\w.-]+)/gmu);
    const named = [...flags].map(([, flag]) => flag);
    expect(named.length).toBeGreaterThan(30);
    expect([...trainFlags].sort()).toEqual([...new Set(named)].sort());
  });
});

test.skipIf(!isThere("zsh"))(`zsh reads its script, and knows the function${without("zsh")}`, () => {
  const script = "compdef() { echo compdef $*; }; source ./completion.zsh; whence -w _foretoken";
  const out = execFileSync("zsh", ["-f", "-c", script], { cwd, encoding: "utf8" });
  expect(out).toBe("compdef _foretoken foretoken\n_foretoken: function\n");
});

describe.skipIf(!isThere("fish"))(`fish${without("fish")}`, () => {
  test.each<[line: string, offers: readonly string[]]>([
    ["foretoken ev", ["evaluate"]],
    ["foretoken train --model.nL", ["--model.nLayer"]],
    ["foretoken train --preset bo", ["book"]],
    ["foretoken runs --sort lo", ["loss"]],
    ["foretoken lesson pa", ["pairs"]],
    ["foretoken train --data te", ["text.txt"]],
  ])("%j", (line, offers) => {
    const script = `source completion.fish; complete -C ${JSON.stringify(line)}`;
    const out = execFileSync("fish", ["--no-config", "-c", script], { cwd, encoding: "utf8" });
    expect(out.split("\n").flatMap((found) => found.split("\t")[0] || [])).toEqual(offers);
  });
});

test("a shell that is not known is told in a line, with those that are", async () => {
  expect(await cli(["completion", "ksh"], { cwd })).toMatchObject({
    status: 2,
    stdout: "",
    stderr: 'foretoken: shell: must be bash, zsh or fish; got "ksh"; try zsh\n',
  });
});
