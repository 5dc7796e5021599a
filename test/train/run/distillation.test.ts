import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ForetokenError } from "#foretoken/core/errors/errors.js";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { planRun } from "#foretoken/train/plan.node.js";
import { train as trainInPage } from "#foretoken/train/train.browser.js";
import { type NewRun, train } from "#foretoken/train/train.node.js";
import { train as trainInThread } from "#foretoken/worker/train.node.js";
import {
  anyBackend,
  checkpointHashes,
  collect,
  ofType,
  smallRun,
  timelessMetrics,
  useFolder,
  wordsText,
} from "../../support/runs.ts";

const { newPath, writeText } = useFolder();
const on = { ...anyBackend, finalSampleTokens: 0 } as const;

let text = "";
let data = "";
/** Two runs with the alphabet of `data`. */
let teachers: readonly [string, string] = ["", ""];
beforeAll(async () => {
  text = wordsText("taught", 300);
  data = await writeText(text);
  teachers = [newPath(), newPath()];
  for (const [i, out] of teachers.entries()) {
    const config = { ...smallRun, train: { ...smallRun.train, seed: 10 + i } };
    await collect(train({ preset: "book", config, data, out, ...on }));
  }
});

const options = (out: string | null, more: Partial<NewRun> = {}): NewRun => ({
  ...{ preset: "book", data, out, config: smallRun, teacher: teachers },
  ...on,
  ...more,
});

const messageOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => expect.fail("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ForetokenError);
  expect((error as Error).message).not.toContain("\n");
  return (error as Error).message;
};
const refusal = (more: Partial<NewRun>): Promise<string> => messageOf(collect(train(options(newPath(), more))));

const textOf = (path: string): Promise<string> => readFile(path, "utf8");

describe("a run that learns from teachers", () => {
  it("records them, shows both parts of its loss, and validates on the text alone", async () => {
    const out = newPath();
    const before = await checkpointHashes(teachers[0]);
    const events = await collect(train(options(out)));
    expect(ofType(events, "start")[0]).toMatchObject({
      teachers: teachers.map((teacher) => join(teacher, "best")),
      config: { train: { teacher: { weight: 0.7, temperature: 1 } } },
    });
    const [first] = ofType(events, "step");
    expect(first?.teacherLoss).toBeGreaterThan(0);
    // The loss is the one of a run without teachers, before a weight has changed.
    const alone = await collect(train(options(null, { teacher: undefined, stopAt: 1 })));
    expect(ofType(alone, "step")[0]?.loss).toBe(first?.loss);
    expect(ofType(alone, "step")[0]).not.toHaveProperty("teacherLoss");
    const lm = await loadPretrained(join(out, "best"), anyBackend);
    const { natsPerToken } = await evaluate(lm, { data, split: "val" });
    await lm.close();
    expect(Math.min(...ofType(events, "eval").map(({ valLoss }) => valLoss))).toBe(natsPerToken);
    const { data: described } = JSON.parse(await textOf(join(out, "run.json")));
    expect(described.teachers).toEqual(
      teachers.map((teacher) => ({
        path: join(teacher, "best"),
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/u),
        configSha256: expect.stringMatching(/^[0-9a-f]{64}$/u),
      })),
    );
    expect(await checkpointHashes(teachers[0])).toEqual(before);
  });

  it("resumes to the same bits wherever it stopped, in a thread too, and where a kill came before a checkpoint", async () => {
    const whole = newPath();
    await collect(train(options(whole)));
    const expected = await checkpointHashes(whole);
    const inThread = newPath();
    await collect(trainInThread(options(inThread)));
    expect(await checkpointHashes(inThread)).toEqual(expected);
    for (const stopAt of [6]) {
      const out = newPath();
      await collect(train(options(out, { stopAt })));
      await collect(train({ resume: out, ...anyBackend }));
      expect(await checkpointHashes(out), `stopped after ${stopAt}`).toEqual(expected);
      expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
    }
    const killed = newPath();
    for await (const event of train(options(killed))) if (event.type === "step" && event.step === 3) break;
    await collect(train({ resume: killed, ...anyBackend }));
    expect(await checkpointHashes(killed)).toEqual(expected);
  });

  it("is not resumed without its teacher, or with another one", async () => {
    const [out, moved] = [newPath(), newPath()];
    await cp(teachers[0], moved, { recursive: true });
    await collect(train(options(out, { teacher: moved, stopAt: 4 })));
    const resumed = (): Promise<string> => messageOf(collect(train({ resume: out, ...anyBackend })));
    const named = `resume ${out}: teacher ${join(moved, "best")}`;
    const hint = "try restoring it, or teacher PLACE with a copy of it";
    await rm(join(moved, "best"), { recursive: true });
    expect(await resumed()).toBe(`${named}: the path must name a model; got no such file or folder; ${hint}`);
    await cp(join(teachers[1], "best"), join(moved, "best"), { recursive: true });
    expect(await resumed()).toBe(
      `${named}: must be unchanged since the run began; got other weights: the teacher was trained further, or replaced; ${hint}`,
    );
    await rm(join(moved, "best"), { recursive: true });
    await cp(join(teachers[0], "best"), join(moved, "best"), { recursive: true });
    await collect(train({ resume: out, ...anyBackend }));
  });

  it("resumes with moved teachers, named in order", async () => {
    const [out, moved, whole] = [newPath(), newPath(), newPath()];
    await cp(teachers[0], moved, { recursive: true });
    await collect(train(options(out, { teacher: [moved, teachers[1]], stopAt: 4 })));
    await collect(train(options(whole)));
    await rm(moved, { recursive: true });
    const resumed = (teacher: string | readonly string[]) => collect(train({ resume: out, teacher, ...anyBackend }));
    expect(await messageOf(resumed([teachers[1], teachers[0]]))).toMatch(
      /: teacher .*: must be the model with which the run began; got other weights; try /u,
    );
    expect(await messageOf(resumed(teachers[0]))).toBe(
      "teacher: must name the new places of the run's 2 teachers, in order; got 1 place",
    );
    await resumed(teachers);
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
    const alone = newPath();
    await collect(train(options(alone, { teacher: undefined, stopAt: 4 })));
    expect(await messageOf(collect(train({ resume: alone, teacher: teachers[0], ...anyBackend })))).toMatch(
      /^teacher: must be left out/u,
    );
  });

  it("is not resumed with the same weights in another configuration", async () => {
    const [out, folder] = [newPath(), newPath()];
    await cp(join(teachers[0], "best"), folder, { recursive: true });
    const manifest = await readFile(join(folder, "manifest.json"));
    await rm(join(folder, "manifest.json"));
    const resumed = (): Promise<string> => messageOf(collect(train({ resume: out, ...anyBackend })));
    // Without its block `foretoken`, the folder is as another program writes it.
    const { foretoken: _, ...config } = JSON.parse(await textOf(join(folder, "config.json")));
    await writeFile(join(folder, "config.json"), JSON.stringify(config));
    await collect(train(options(out, { teacher: folder, stopAt: 4 })));
    await writeFile(join(folder, "config.json"), JSON.stringify({ ...config, layer_norm_epsilon: 0.5 }));
    expect(await resumed()).toMatch(
      /: must be unchanged since the run began; got another configuration or tokenizer; try /u,
    );
    await writeFile(join(folder, "manifest.json"), manifest);
    expect(await resumed()).toMatch(/: teacher .*config\.json: .*try restoring it, or teacher PLACE/u);
    await rm(join(folder, "manifest.json"));
    // The order of keys has no meaning.
    await writeFile(join(folder, "config.json"), JSON.stringify(Object.fromEntries(Object.entries(config).reverse())));
    await collect(train({ resume: out, ...anyBackend }));
  });

  it("uses the tokenizer of its teacher, and begins with weights where these are given", async () => {
    const fewer = await writeText(wordsText("taught", 300).replaceAll("r", "c"));
    const events = await collect(train(options(newPath(), { data: fewer, teacher: teachers[0] })));
    const [start] = ofType(events, "start");
    expect(start?.vocabSize).toBe(new Set(text).size);
    const tuned = options(newPath(), { initFrom: teachers[1], config: { train: smallRun.train }, stopAt: 2 });
    expect(ofType(await collect(train(tuned)), "step")).toHaveLength(2);
    const lora = { ...tuned, out: newPath(), config: { train: smallRun.train, lora: { rank: 2 } } };
    expect(ofType(await collect(train(lora)), "step")[0]?.teacherLoss).toBeGreaterThan(0);
  });

  it("counts its teachers' memory", async () => {
    const plan = async (teacher: NewRun["teacher"]) =>
      (await planRun({ preset: "book", data, config: smallRun, backend: "reference", teacher })).memory;
    const [none, two] = [await plan(undefined), await plan(teachers)];
    expect(two.weights).toBe(3 * none.weights);
    expect(two.total).toBeGreaterThan(none.total);
  });
});

describe("a teacher that does not fit is refused:", () => {
  it("another tokenizer, a shorter context", async () => {
    const other = newPath();
    const config = { ...smallRun, tokenizer: { kind: "bpe", vocabSize: 270 } } as NonNullable<NewRun["config"]>;
    await collect(train({ preset: "book", config, data, out: other, stopAt: 1, ...on }));
    const has = "the teacher must have the tokenizer of the run";
    expect(await refusal({ teacher: [teachers[0], other] })).toMatch(
      new RegExp(`teacher .*/checkpoint: ${has}; got 2\\d\\d tokens, not`, "u"),
    );
    expect(await refusal({ teacher: other, initFrom: teachers[0], config: { train: smallRun.train } })).toContain(has);
    expect(await refusal({ config })).toMatch(
      /^config\.tokenizer: must be the tokenizer of the teacher \S+: char; got bpe with vocabSize 270, pattern gpt2; try /u,
    );
    const letters = newPath();
    const swapped = await writeText(text.replaceAll("t", "x"));
    await collect(train({ preset: "book", config: smallRun, data: swapped, out: letters, stopAt: 1, ...on }));
    expect(await refusal({ teacher: [teachers[0], letters] })).toMatch(
      /got "x" as token \d+, which is "t" in the run/u,
    );
    const long = { ...smallRun, model: { ...smallRun.model, contextLength: 17 } };
    expect(await refusal({ config: long })).toMatch(
      /best: the teacher must see at least the 17 tokens that the run sees \(model\.contextLength\); got a context length of 16; try model\.contextLength 16$/u,
    );
  });

  it("no model, an adapter, and settings without a teacher", async () => {
    expect(await refusal({ teacher: "nowhere" })).toMatch(/nowhere/u);
    expect(await refusal({ teacher: [] })).toMatch(/^teacher: /u);
    const adapter = newPath();
    const lora = { initFrom: teachers[0], config: { train: smallRun.train, lora: { rank: 2 } }, teacher: undefined };
    await collect(train(options(adapter, { ...lora, stopAt: 1 })));
    expect(await refusal({ teacher: adapter })).toMatch(/must name a whole model; got an adapter/u);
    const train_ = { ...smallRun.train, teacher: { weight: 0.2 } };
    expect(await refusal({ teacher: undefined, config: { ...smallRun, train: train_ } })).toBe(
      "config.train.teacher: must be used with a model to learn from; got no teacher; try teacher MODEL",
    );
    const none = { ...smallRun, train: { ...smallRun.train, teacher: { weight: 0 } } };
    expect(await refusal({ config: none })).toMatch(/^config\.train\.teacher\.weight: .*got 0/u);
  });

  it("a model without a tokenizer, and any teacher in a page", async () => {
    const bare = newPath();
    const lm = await loadPretrained(join(teachers[0], "best"), anyBackend);
    await savePretrained(bare, lm);
    await lm.close();
    await rm(join(bare, "tokenizer.json"));
    await rm(join(bare, "manifest.json"), { force: true });
    expect(await refusal({ teacher: bare })).toMatch(/tokenizer\.json/u);
    const inPage = (more: object) =>
      messageOf(
        collect(
          trainInPage({ text, preset: "book", config: smallRun, backend: "reference", ...more } as Parameters<
            typeof trainInPage
          >[0]),
        ),
      );
    expect(await inPage({ teacher: teachers[0] })).toMatch(/^train: teacher: /u);
    const config = { ...smallRun, train: { ...smallRun.train, teacher: {} } };
    expect(await inPage({ config })).toMatch(/^config\.train\.teacher: must be left out/u);
  });
});
