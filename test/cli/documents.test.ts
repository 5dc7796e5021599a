import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { chatMl, writeChatModel, writeChats } from "../support/chats.ts";
import { cli, jsonLines, workplace } from "./cli.ts";

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  await writeChatModel(join(cwd, "model"));
  await writeChats(join(cwd, "chat.jsonl"), 30);
  await writeFile(join(cwd, "chatml.jinja"), chatMl);
});
afterAll(() => remove());

const short = ["--init-from", "model", "--steps", "4", "--backend", "reference", "--train.sampleTokens", "4"];

test("conversations: the head says how they are taken, and evaluate measures their answers", async () => {
  const args = ["train", "--data", "chat.jsonl", "--rows", "one", "--chat-template", "chatml.jinja", ...short];
  const { stdout, stderr, status } = await cli([...args, "--out", "run"], { cwd });
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/^text {7}chat\.jsonl .* 27 documents to learn from: [\d,]+ tokens, [\d,]+ in the loss/mu);
  expect(stdout.replace(/\s+/gu, " ")).toContain("one: one document per row");
  expect(stdout.replace(/\s+/gu, " ")).toContain("passes over the documents");
  expect(stdout).toContain("npx foretoken chat run");

  const evaluated = async (more: readonly string[]) => {
    const outcome = await cli(["evaluate", "run", "--weights", "last", "--backend", "reference", "--json", ...more], {
      cwd,
    });
    expect(outcome.status, outcome.stderr).toBe(0);
    return jsonLines(outcome.stdout)[0] as Readonly<Record<string, number>>;
  };
  const all = await evaluated(["--data", "chat.jsonl"]);
  expect(all).toEqual(await evaluated(["--data", "chat.jsonl", "--split", "all"]));
  const val = await evaluated([]);
  const train = await evaluated(["--split", "train"]);
  expect((val.tokens ?? 0) + (train.tokens ?? 0)).toBe(all.tokens);
  // The mean of both parts, weighted by the number of tokens of each part.
  const sum = (val.natsPerToken ?? 0) * (val.tokens ?? 0) + (train.natsPerToken ?? 0) * (train.tokens ?? 0);
  expect(sum / (all.tokens ?? 1)).toBeCloseTo(all.natsPerToken ?? 0, 5);
}, 120_000);

test.each([
  [["--data", "bad.jsonl", ...short], /^foretoken: bad\.jsonl:2: messages must have an answer to learn/u],
  [
    ["--data", "text.txt", "--rows", "one", "--steps", "4", "--backend", "reference"],
    /^foretoken: --train\.rows: must be used with documents/u,
  ],
  [
    ["--data", "chat.jsonl", "--windows", "shuffled", "--chat-template", "chatml.jinja", ...short],
    /^foretoken: --train\.windows: must be used with a text/u,
  ],
  [
    ["--data", "chat.jsonl", "--chat-template", "none.jinja", ...short],
    /^foretoken: --chat-template none\.jinja: must be a file/u,
  ],
  [
    ["--data", "chat.jsonl", "--val-data", "text.txt", ...short],
    /^foretoken: text\.txt: validation documents must be \.jsonl files/u,
  ],
])(
  "a mistake is one line: %s",
  async (args, message) => {
    const user = { role: "user", content: "who?" };
    await writeFile(join(cwd, "bad.jsonl"), `{"text":"so"}\n${JSON.stringify({ messages: [user] })}\n`);
    const { stderr, status } = await cli(["train", ...args], { cwd });
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd()).not.toContain("\n");
    expect(status).toBe(2);
  },
  60_000,
);

test("adapters of conversations: evaluate --against measures both models on the same documents", async () => {
  // The run has its own template. The model that is compared with the run must read the documents with the same
  // template.
  const own =
    "{% for m in messages %}{{ m.role }} {{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}assistant {% endif %}";
  await writeFile(join(cwd, "own.jinja"), own);
  const args = ["train", "--data", "chat.jsonl", "--chat-template", "own.jinja", "--lora.rank", "2", ...short];
  const trained = await cli([...args, "--out", "tuned"], { cwd });
  expect(trained.status, trained.stderr).toBe(0);
  const evaluate = ["evaluate", "tuned", "--weights", "last", "--against", "model", "--backend", "reference"];
  const shown = await cli(evaluate, { cwd });
  expect(shown.status, shown.stderr).toBe(0);
  expect(shown.stdout).toMatch(
    /^The text is too short for a confidence interval: it has 3 windows, but 8 windows are needed\. Use more text/mu,
  );
  expect(shown.stdout).not.toContain("±");
  const { stdout } = await cli([...evaluate, "--data", "chat.jsonl", "--json"], { cwd });
  const [json] = jsonLines(stdout) as unknown as readonly {
    readonly tokens: number;
    readonly natsPerToken: number;
    readonly against: { readonly tokens: number; readonly natsPerToken: number };
    readonly difference: Record<"windows" | "blocks" | "natsPerToken", number> & { readonly halfWidth95: unknown };
  }[];
  expect(json?.difference).toMatchObject({
    windows: 30,
    blocks: 16,
    halfWidth95: { natsPerToken: expect.any(Number) },
  });
  expect(json?.against.tokens).toBe(json?.tokens);
  expect(json?.difference.natsPerToken).toBeCloseTo((json?.natsPerToken ?? 0) - (json?.against.natsPerToken ?? 0), 10);
}, 120_000);
