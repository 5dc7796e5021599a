import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ChoiceQuestion, evaluateChoices } from "#foretoken/evaluate/choices.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { cli, tiny, workplace } from "../cli/cli.ts";
import { forEachBackend } from "../support/backends.ts";
import { bookModel, hashedModel } from "../support/models.ts";

const characters = [..."abcdefghijklmnopqrstuvwxyz \n."];
const common = "the cat sat on the mat and ";
const questions: readonly ChoiceQuestion[] = Array.from({ length: 30 }, (_, i) => ({
  context: `${common}${"so ".repeat(i % 5)}${characters[i % 26]}`,
  choices: [" cat", " a", " the mat."].slice(0, 2 + (i % 2)),
  answer: i % 2,
}));

forEachBackend(
  "evaluateChoices",
  ({ open }) => {
    let lm: LanguageModel;
    let bytes = (): number => 0;
    beforeAll(async () => {
      const backend = await open(1);
      const config = { ...bookModel, contextLength: 80, nEmbd: 16, nHead: 2, nLayer: 2 };
      lm = languageModel(hashedModel(backend, config, characters.length), charTokenizer(characters), () =>
        backend.close(),
      );
      bytes = () => backend.bytesInUse();
    });
    afterAll(() => lm.close());

    it("gives the log-probabilities of score, and chooses by them", async () => {
      const before = bytes();
      const told: number[] = [];
      const result = await evaluateChoices(lm, questions, { onProgress: (done) => told.push(done) });
      expect(bytes()).toBe(before);
      expect(told).toEqual(questions.map((_, i) => i + 1));
      let [right, rightByLength] = [0, 0];
      for (const [i, { context, choices, answer }] of questions.entries()) {
        const sums = await Promise.all(
          choices.map(async (choice) => {
            const { tokens } = await lm.score(context + choice);
            return tokens.slice(context.length).reduce((sum, { logProb }) => sum + (logProb ?? 0), 0);
          }),
        );
        const byLength = sums.map((sum, j) => sum / (choices[j] ?? "").length);
        const [chosen, chosenByLength] = [sums, byLength].map((all) => all.indexOf(Math.max(...all)));
        expect(result.results[i]).toEqual({ index: i, logProbs: sums, chosen, chosenByLength, answer });
        if (chosen === answer) right++;
        if (chosenByLength === answer) rightByLength++;
      }
      const { count, accuracy, accuracyByLength, standardError } = result;
      expect({ count, accuracy, accuracyByLength }).toEqual({
        count: 30,
        accuracy: right / 30,
        accuracyByLength: rightByLength / 30,
      });
      expect(standardError).toBeCloseTo(Math.sqrt((accuracy * (1 - accuracy)) / 30), 12);
    });

    it("refuses what is no question, and one that is too long, and ends when it is aborted", async () => {
      const refused = (question: unknown): Promise<unknown> => evaluateChoices(lm, [question as ChoiceQuestion]);
      await expect(refused({ context: "a", choices: [" b"], answer: 0 })).rejects.toThrow("with two choices or more");
      await expect(refused({ context: "a", choices: [" b", " c"], answer: 2 })).rejects.toThrow(
        "question 1: answer must be a number from 0 to 1; got 2",
      );
      await expect(refused({ context: "", choices: [" b", " c"], answer: 0 })).rejects.toThrow("question 1");
      await expect(refused({ context: "a".repeat(80), choices: [" b", " c"], answer: 0 })).rejects.toThrow(
        "context of 80 tokens",
      );
      const signal = AbortSignal.abort(new Error("enough"));
      await expect(evaluateChoices(lm, questions, { signal })).rejects.toThrow("enough");
    });
  },
  ["wasm", "native"],
);

describe("evaluate --choices", () => {
  it("prints the share of right answers, and names a line that is none", async () => {
    const { cwd, remove } = await workplace();
    await cli(["train", ...tiny, "--out", "run"], { cwd });
    const lines = [
      { context: "The", choices: [" cat", " hat"], answer: 0 },
      { context: "It ", choices: ["had", "sat", "so"], answer: 1 },
    ];
    await writeFile(join(cwd, "quiz.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    const evaluate = (...flags: string[]) => cli(["evaluate", "run", "--choices", "quiz.jsonl", ...flags], { cwd });
    const { status, stdout } = await evaluate();
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: expect.stringMatching(
        /^accuracy +[\d.]+% ± [\d.]+%\nby length +[\d.]+%\nquestions +2\nmeasured on +quiz.jsonl\n$/u,
      ),
    });
    const { results, ...rest } = JSON.parse((await evaluate("--json")).stdout) as { results: unknown[] };
    expect(results).toHaveLength(2);
    expect(rest).toMatchObject({ count: 2 });
    expect((await evaluate("--data", "text.txt")).stderr).toContain("--data: cannot be used with --choices");
    await writeFile(join(cwd, "quiz.jsonl"), `${JSON.stringify(lines[0])}\n{"context": "a"}\n`);
    expect(await evaluate()).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("quiz.jsonl: line 2: must be like"),
    });
    await remove();
  });
});
