import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { chat } from "#foretoken/chat/chat.node.js";
import type { RunConfig } from "#foretoken/config/config.js";
import type { PartialConfig } from "#foretoken/config/merge.js";
import type { GivenDocument } from "#foretoken/data/parse-document.js";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { listRuns } from "#foretoken/runs/list/runs.node.js";
import { type NewRun, train } from "#foretoken/train/train.node.js";
import { compiled, forEachBackend } from "../../support/backends.ts";
import { chatContext, chats, chatTokenizer, writeChatModel, writeChats } from "../../support/chats.ts";
import {
  anyBackend,
  checkpointHashes,
  collect,
  ofType,
  smallRun,
  timelessMetrics,
  useFolder,
} from "../../support/runs.ts";

const { newPath } = useFolder();
let model = "";
let data = "";
beforeAll(async () => {
  model = newPath();
  await writeChatModel(model);
  data = await writeChats(`${newPath()}.jsonl`, 40);
});

const { schedule, optimizer, ...plan } = smallRun.train;
const config = { model: { dropout: 0.1 }, train: { ...plan, schedule, optimizer } } satisfies PartialConfig<RunConfig>;

const begin = (options: Partial<NewRun> = {}) =>
  train({ initFrom: model, data, config, preset: "book", ...anyBackend, finalSampleTokens: 6, ...options });

forEachBackend(
  "a run on conversations",
  ({ name }) => {
    it("goes on where it was stopped, to the bit, with any number of threads", async () => {
      const [whole, stopped] = [newPath(), newPath()];
      await collect(begin({ out: whole, backend: name, threads: 1 }));
      await collect(begin({ out: stopped, backend: name, threads: 2, stopAt: 6 }));
      await collect(train({ resume: stopped, backend: name, threads: 2, stopAt: 9 }));
      await collect(train({ resume: stopped, backend: name, threads: 1 }));
      expect(await checkpointHashes(stopped)).toEqual(await checkpointHashes(whole));
      expect(await timelessMetrics(stopped)).toEqual(await timelessMetrics(whole));
    }, 60_000);
  },
  compiled,
);

describe("a run on conversations", () => {
  it("says what it takes, learns the answers, and leaves a model that answers", async () => {
    const out = newPath();
    const learning = { train: { ...config.train, steps: 60, learningRate: 3e-2, evalInterval: 30, sampleTokens: 8 } };
    const events = await collect(begin({ out, config: learning }));
    const [start] = ofType(events, "start");
    expect(start?.documents).toMatchObject({ train: 36, val: 4, chat: true });
    expect(start?.config.train).toMatchObject({ rows: "packed", longDocuments: "cut" });
    expect(start?.documents?.trainTargets).toBeLessThan((start?.trainTokens ?? 0) / 3);
    const [first, last] = [ofType(events, "step")[0], ofType(events, "step").at(-1)];
    expect(last?.loss).toBeLessThan(0.5 * (first?.loss ?? 0));
    const [evaluated] = ofType(events, "eval");
    expect(evaluated?.tokens).toBe(start?.documents?.valTargets);
    // The run's samples answer the first held-out question.
    const sample = ofType(events, "sample").at(-1);
    expect(["who?", "why", "Is it so", "Hi"]).toContain(sample?.prompt);
    expect(sample?.text).not.toContain("<|im");

    const lm = await loadPretrained(join(out, "best"), anyBackend);
    expect(lm.chatTemplate?.template).toContain("add_generation_prompt");
    expect(lm.endTokens).toEqual(chatTokenizer.specialTokens.flatMap(({ id }, i) => (i === 1 ? [] : [id])));
    let answer = "";
    for await (const event of chat(lm, {
      messages: [{ role: "user", content: "Hi" }],
      maxNewTokens: 30,
      temperature: 0,
    })) {
      if (event.type === "done") answer = event.finishReason;
    }
    expect(answer).toBe("endOfText");
    await lm.close();

    const readme = await readFile(join(out, "README.md"), "utf8");
    expect(readme).toContain("| documents | ");
    expect(readme).toContain("as many documents per row as fit");
    expect(readme).toContain("npx foretoken chat .");
    const { runs } = await listRuns(join(out, ".."));
    expect(runs.find(({ path }) => path === out)).toMatchObject({ state: "finished", step: 60 });
  }, 60_000);

  it("has the loss that evaluate measures", async () => {
    const val = await writeChats(`${newPath()}.jsonl`, 7);
    const out = newPath();
    const exact = { ...config, train: { ...config.train, steps: 4, dtype: "float32" } } as const;
    const events = await collect(begin({ out, valData: val, config: exact }));
    const lm = await loadPretrained(join(out, "checkpoint"), anyBackend);
    const measured = await evaluate(lm, { data: val });
    const end = ofType(events, "eval").at(-1);
    expect(measured.natsPerToken).toBeCloseTo(end?.valLoss ?? 0, 6);
    expect(measured.tokens).toBe(end?.tokens);
    const given = await evaluate(lm, { documents: chats(7) as GivenDocument[] });
    expect(given).toEqual(measured);
    await expect(evaluate(lm, { data: val, split: "all", unknown: "skip" })).rejects.toThrow(
      /^unknown: must be error/u,
    );
    await expect(evaluate(lm, { data: val, split: "val" })).resolves.toMatchObject({ tokens: expect.any(Number) });
    await lm.close();
  });

  it("is refused with other documents than it began with", async () => {
    const moved = await writeChats(`${newPath()}.jsonl`, 40);
    const out = newPath();
    await collect(begin({ out, data: moved, stopAt: 2 }));
    const text = await readFile(moved, "utf8");
    // The same documents count as equal if they are written in another way.
    await writeFile(moved, text.replaceAll('":"', '" : "'));
    await collect(train({ resume: out, ...anyBackend, stopAt: 3 }));
    await writeFile(moved, text.replace("who?", "why?"));
    await expect(collect(train({ resume: out, ...anyBackend }))).rejects.toThrow(
      /the documents must be the ones that the run began with; got others \(their SHA-256 differs\)/u,
    );
  });

  it("keeps documents that a program hands over, and goes on with them", async () => {
    const out = newPath();
    const documents = chats(12) as GivenDocument[];
    const short = { ...config, train: { ...config.train, steps: 6 } };
    const given = { data: undefined, documents, valDocuments: documents.slice(0, 2), config: short };
    await collect(begin({ ...given, out, stopAt: 3 }));
    expect((await readFile(join(out, "documents.jsonl"), "utf8")).split("\n")).toHaveLength(13);
    expect((await readFile(join(out, "val-documents.jsonl"), "utf8")).split("\n")).toHaveLength(3);
    const whole = newPath();
    await collect(train({ resume: out, ...anyBackend }));
    await collect(begin({ ...given, out: whole }));
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
    const events = await collect(begin({ ...given, config: { train: { ...config.train, steps: 1 } } }));
    expect(ofType(events, "done")[0]?.out).toBeNull();
  });

  it("takes a template that is given, and keeps it", async () => {
    const out = newPath();
    const chatTemplate =
      "{% for m in messages %}{{ m.role }} {{ m.content }}<|endoftext|>{% endfor %}{% if add_generation_prompt %}assistant {% endif %}";
    await collect(begin({ out, chatTemplate, stopAt: 2 }));
    await collect(train({ resume: out, ...anyBackend, stopAt: 3 }));
    const lm = await loadPretrained(join(out, "checkpoint"), anyBackend);
    expect(lm.chatTemplate?.template).toBe(chatTemplate);
    await lm.close();
  });

  it("tells of documents that are cut, or refuses them", async () => {
    const long = `${newPath()}.jsonl`;
    const content = "so ".repeat(60).trim();
    const line = (text: string): string => `${JSON.stringify({ prompt: "who?", completion: text })}\n`;
    await writeFile(long, line("me.") + line(content) + line("yes") + line(content));
    const notices: string[] = [];
    const short = { model: { contextLength: 64 }, train: { ...config.train, steps: 1, sampleTokens: 0 } };
    const onNotice = (text: string): void => void notices.push(text);
    await collect(begin({ data: long, valData: data, config: short, out: null, finalSampleTokens: 0, onNotice }));
    expect(
      notices.some((text) =>
        /: 2 of 4 documents to learn from are longer than the context of 64 tokens and were cut into \d+ pieces$/u.test(
          text,
        ),
      ),
    ).toBe(true);
    const refusing = { ...short, train: { ...short.train, longDocuments: "refuse" } } as const;
    await expect(collect(begin({ data: long, valData: data, config: refusing, out: null }))).rejects.toThrow(
      /\.jsonl:[24]: a document must have at most contextLength \+ 1 = 65 tokens; got \d+, the longest of 2 that are too long; try /u,
    );
  });

  it("tells that a plain text teaches no answers, and that a text validates itself", async () => {
    const text = `${newPath()}.txt`;
    await writeFile(text, "so be it. ".repeat(60));
    const notices: string[] = [];
    const onNotice = (line: string): void => void notices.push(line);
    const once = { ...config, train: { ...config.train, steps: 1, sampleTokens: 0, rows: "packed" } } as const;
    const few = { out: null, finalSampleTokens: 0, onNotice, config: once } as const;
    await collect(begin({ ...few, valData: data }));
    expect(notices.filter((line) => line.includes("training text itself"))).toHaveLength(1);
    expect(notices.filter((line) => line.includes("not to answer questions"))).toEqual([]);
    notices.length = 0;
    const plain = { ...few, config: { train: { ...config.train, steps: 1, sampleTokens: 0 } } };
    await collect(begin({ ...plain, data: text }));
    expect(notices.filter((line) => line.includes("not to answer questions"))).toHaveLength(1);
    expect(notices.filter((line) => line.includes("training text itself"))).toEqual([]);
  });

  it("is refused without a template, and a text with rows of documents", async () => {
    const text = `${newPath()}.txt`;
    await writeFile(text, "so be it. ".repeat(60));
    const bare = newPath();
    await collect(train({ data: text, config: smallRun, preset: "book", out: bare, stopAt: 1, ...anyBackend }));
    await expect(collect(begin({ initFrom: bare }))).rejects.toThrow(
      /^.*\.jsonl: a model that learns from conversations must have a chat template; got none; try a model with a chat template/u,
    );
    const rows = { ...smallRun, train: { ...smallRun.train, rows: "one" } } as const;
    await expect(collect(train({ data: text, preset: "book", config: rows, out: null }))).rejects.toThrow(
      'config.train.rows: must be used with documents: a .jsonl file, or a folder of them; got "one" with a text; try leaving it out',
    );
    await expect(collect(begin({ documents: [] }))).rejects.toThrow("data and documents: only one of them may define");
    await expect(collect(begin({ data: undefined, documents: [] }))).rejects.toThrow(
      "documents: there must be at least one document",
    );
  });
});

describe("a run on plain documents", () => {
  it("trains from the start, on all tokens and the end of each text", async () => {
    const out = newPath();
    const documents = Array.from({ length: 20 }, (_, i) => ({ text: `so be it ${"abc".repeat(1 + (i % 5))}.` }));
    for (const rows of ["packed", "one"] as const) {
      const options = { model: smallRun.model, train: { ...smallRun.train, rows } };
      const events = await collect(
        train({
          documents,
          config: options,
          preset: "book",
          out: rows === "one" ? out : null,
          ...anyBackend,
          finalSampleTokens: 3,
        }),
      );
      const [start] = ofType(events, "start");
      expect(start?.documents).toMatchObject({ train: 18, val: 2, chat: false });
      // The character tokenizer has an end-of-text token. Nothing predicts the first token of a document.
      expect(start?.documents?.trainTargets).toBe((start?.trainTokens ?? 0) - 18);
      expect(ofType(events, "done")[0]?.reason).toBe("finished");
      expect(ofType(events, "sample").at(-1)?.prompt).toBe("so");
    }
    expect(await readFile(join(out, "README.md"), "utf8")).toContain("one document per row");
    expect(chatContext).toBeGreaterThan(smallRun.model.contextLength);
  });
});
