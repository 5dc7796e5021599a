import { readFileSync } from "node:fs";
import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { declareChat } from "#foretoken/cli/commands/chat.js";
import { declareCompare } from "#foretoken/cli/commands/compare.js";
import { declareCompletion } from "#foretoken/cli/commands/completion.js";
import { declareDoctor } from "#foretoken/cli/commands/doctor.js";
import { declareEvaluate } from "#foretoken/cli/commands/evaluate.js";
import { declareExport } from "#foretoken/cli/commands/export.js";
import { declareGenerate } from "#foretoken/cli/commands/generate.js";
import { declareInfo } from "#foretoken/cli/commands/info.js";
import { declareLesson } from "#foretoken/cli/commands/lesson.js";
import { declarePlot } from "#foretoken/cli/commands/plot.js";
import { declareReplay } from "#foretoken/cli/commands/replay.js";
import { declareRuns } from "#foretoken/cli/commands/runs.js";
import { declareSweep } from "#foretoken/cli/commands/sweep.js";
import { declareTokenizer } from "#foretoken/cli/commands/tokenizer.js";
import { declareTrain } from "#foretoken/cli/commands/train.js";
import { declareVerify } from "#foretoken/cli/commands/verify.js";
import { unknownCommandError, unknownFlagError } from "#foretoken/cli/suggestions/suggest.js";
import * as library from "#foretoken/index.js";

const declare: Readonly<Record<string, (command: Command) => void>> = {
  train: declareTrain,
  generate: declareGenerate,
  evaluate: declareEvaluate,
  compare: declareCompare,
  sweep: declareSweep,
  export: declareExport,
  verify: declareVerify,
  replay: declareReplay,
  lesson: declareLesson,
  runs: declareRuns,
  plot: declarePlot,
  info: declareInfo,
  doctor: declareDoctor,
  chat: declareChat,
  tokenizer: declareTokenizer,
  completion: (command) => declareCompletion(command, {}),
};
const names = Object.keys(declare);

const commandOf = (name: string): Command => {
  const command = new Command(name);
  declare[name]?.(command);
  return command;
};

/** The error for a command line with an unknown flag. */
const answer = (line: string) => {
  const words = line.split(" ");
  const [name = ""] = words;
  const command = commandOf(name);
  const known = command.options.flatMap(({ long, short }) => [long, short]);
  const flag = words.slice(1).find((word) => word.startsWith("-") && !known.includes(word.split("=")[0])) ?? "";
  return unknownFlagError(name, flag.split("=")[0] ?? "", words, command).details;
};

describe("a flag of another program leads to ours, with its value", () => {
  test.each([
    ["train --lr 1e-3", "--learning-rate 1e-3"],
    ["train --n-layer 6", "--model.nLayer 6"],
    ["train --n-head 6", "--model.nHead 6"],
    ["train --n_embd=384", "--model.nEmbd 384"],
    ["train --block-size 256", "--model.contextLength 256"],
    ["train --batch 32", "--batch-size 32"],
    ["train --max-iters 5000", "--steps 5000"],
    ["train --bf16", "--dtype bfloat16"],
    ["generate runs/a --repeat-penalty 1.1", "--repetition-penalty 1.1"],
    ["train --bf16 True --lr 3e-4", "--dtype bfloat16 --learning-rate 3e-4"],
    ["train --decay_lr=False", "--train.schedule.kind constant"],
    ["train --optim adamw_torch", "--train.optimizer.kind adamw"],
    ["train --optimizer adamw", "--train.optimizer.kind adamw"],
    ["train --norm rmsnorm", "--model.norm.kind rmsnorm"],
    ["train --nKvHead 2", "--model.nKvHead 2"],
    ["train --init_from=runs/a", "--init-from runs/a"],
    ["train --init_from=resume", "--resume runs/NAME"],
    ["train --init_from=gpt2", "--init-from hf:openai-community/gpt2"],
    ["train --init_from=scratch", "the command without this flag"],
    ["train --init_from=scratch --n_layer=6", "--model.nLayer 6"],
    ["train --stpes 5", "--steps 5"],
    ["train --checkpoint 5", "--checkpoint-interval 5"],
    ["train --n_layer=6 --n_head=6 --device=cpu", "--model.nLayer 6 --model.nHead 6"],
    ["train --dataset $(x)", "--data '$(x)'"],
    ["generate runs/a --temp 0.5", "--temperature 0.5"],
    ["generate runs/a --n-predict 128 -p Once", "--max-new-tokens 128 --prompt Once"],
    ["generate runs/a -n 128", "--max-new-tokens 128"],
    ["generate runs/a --do_sample False", "--temperature 0"],
    ["generate runs/a -cnv", "npx foretoken chat MODEL"],
    ["generate -m runs/a -p Once -n 9", "npx foretoken generate runs/a --prompt Once --max-new-tokens 9"],
    ["evaluate runs/a --file b.txt", "--data b.txt"],
    ["lesson --file b.txt", "--data b.txt"],
  ])("%s", (line, hint) => {
    expect(answer(line).hint).toBe(hint);
  });
});

test.each([
  ["train --epochs 3", /counted in steps/u, "--epochs 3"],
  ["train --device cuda", /no GPU backend \(yet\).*CPU/u, "--device cuda"],
  ["train --device cpu", /^every backend computes on the CPU, so there is no device to choose$/u, "--device cpu"],
  ["train --gpu", /no GPU backend \(yet\)/u, "--gpu"],
  ["train --fp16", /no float16/u, "--fp16"],
  ["train --wandb_log=True", /no tracking service/u, "--wandb_log True"],
  ["generate runs/a -ngl 99", /no GPU backend/u, "-ngl 99"],
  ["generate runs/a --repeat-last-n 64", /penalties always count all of the text/u, "--repeat-last-n 64"],
])("%s says what is not there", (line, says, got) => {
  const details = answer(line);
  expect(details.must).toMatch(says);
  expect(details.got).toBe(got);
  expect(details.hint).toMatch(/./u);
});

test("a flag that is like none of ours gets no guess", () => {
  for (const flag of ["--constructor", "--xyzzy", "--toString"]) {
    expect(answer(`train ${flag}`).hint).toBe("npx foretoken train --help");
  }
});

const answerTo = async (line: string) =>
  (await unknownCommandError(line.split(" "), names, async (name) => commandOf(name))).details;

describe("a command of another program leads to ours, with its words", () => {
  test.each([
    ["sample runs/a --temp 0.5", "npx foretoken generate runs/a --temperature 0.5"],
    ["run -m runs/a -p Once", "npx foretoken generate runs/a --prompt Once"],
    ["interact runs/a", "npx foretoken generate runs/a --interactive"],
    ["eval runs/a --data b.txt", "npx foretoken evaluate runs/a --data b.txt"],
    ["fit --lr 1e-3 --data b.txt", "npx foretoken train --learning-rate 1e-3 --data b.txt"],
    ["fit --init_from=scratch --data b.txt", "npx foretoken train --data b.txt"],
    ["resume runs/a", "npx foretoken train --resume runs/a"],
    ["finetune runs/a --data b.txt", "npx foretoken train --init-from runs/a --data b.txt"],
    ["fine-tune runs/a --lr 1e-4", "npx foretoken train --init-from runs/a --learning-rate 1e-4"],
    ["quantise runs/a", "npx foretoken quantize runs/a"],
    ["convert runs/a --outtype q8_0", "npx foretoken export runs/a --dtype q8_0"],
    ["ls", "npx foretoken runs"],
    ["graph runs/a", "npx foretoken plot runs/a"],
    ["server runs/a --port 80", "npx foretoken serve runs/a --port 80"],
    ["api model.gguf", "npx foretoken serve model.gguf"],
    ["tensorboard runs", "npx foretoken studio runs"],
    ["runs/a", "npx foretoken generate runs/a"],
    ["notes.txt", "npx foretoken train --data notes.txt"],
    ["trian", "train"],
    ["constructor", "npx foretoken --help"],
  ])("%s", async (line, hint) => {
    const details = await answerTo(line);
    expect(details.hint).toBe(hint);
    expect(details.must).toMatch(/^the command must be train, generate, /u);
  });

  test.each([
    ["import model.gguf", /a GGUF file/u],
    ["tokenize model.gguf", /tokenizer inspect shows/u],
    ["download", /hf:org\/name/u],
  ])("%s says what is not there", async (line, says) => {
    const details = await answerTo(line);
    expect(details.must).toMatch(says);
    expect(details.hint).toMatch(/./u);
  });
});

describe("docs/from-nanogpt.md", () => {
  const page = readFileSync(new URL("../../../docs/from-nanogpt.md", import.meta.url), "utf8");
  const codes = (text: string): readonly string[] => [...text.matchAll(/`([^`]+)`/gu)].map(([, code]) => String(code));
  const flagsIn = (text: string): readonly string[] =>
    codes(text).flatMap((code) => [...code.matchAll(/(?<!\S)--[A-Za-z][\w.-]*/gu)].map(String));
  const options = (name: string): readonly (string | undefined)[] =>
    commandOf(name).options.flatMap(({ long, short }) => [long, short]);

  /**
   * The rows of all tables in sections with a command's name as heading. Each row has the other program's flag, our
   * flag, and the command.
   */
  const rows = page.split(/^## /mu).flatMap((section) => {
    const command = /^.*flags of `(\w+)`/u.exec(section)?.[1];
    if (command === undefined) return [];
    return section
      .split("\n")
      .filter((line) => /^\| `/u.test(line))
      .map((line) => {
        const [there = "", here = "", remark = ""] = line.replaceAll(/^\| |(?: ?\|)+$/gu, "").split(" | ");
        return { command, there, here, remark };
      });
  });

  test("has the names that people know", () => {
    const known = rows.flatMap(({ there }) => codes(there));
    expect(known.length).toBeGreaterThan(70);
    expect(known).toEqual(
      expect.arrayContaining(["n_layer", "block_size", "max_iters", "--temp", "--n-predict", "optim"]),
    );
  });

  test("names no flag, command or function of ours that is not there", () => {
    for (const { command, here, remark } of rows) {
      for (const flag of flagsIn(`${here} ${remark}`))
        expect(options(command), `${flag} of ${command}`).toContain(flag);
    }
    const prose = page.replaceAll(/^\|.*\|$/gmu, "");
    const all = names.flatMap(options);
    for (const flag of flagsIn(prose).filter((one) => !["--lr", "--help"].includes(one))) expect(all).toContain(flag);
    for (const line of page.split("\n").filter((one) => one.startsWith("| "))) {
      for (const code of codes(line.split(" | ")[1] ?? "")) {
        const verb = /^npx foretoken (\w+)/u.exec(code)?.[1];
        if (verb !== undefined) {
          expect(names).toContain(verb);
          for (const flag of flagsIn(`\`${code}\``)) expect(options(verb)).toContain(flag);
        }
        const called = /^(\w+)\(/u.exec(code)?.[1];
        if (called !== undefined) expect(Object.keys(library)).toContain(called);
      }
    }
  });

  test("says what the command line says", () => {
    for (const { command, there, here } of rows) {
      for (const name of codes(there)) {
        const flag = name.startsWith("-") ? name : `--${name}`;
        if (options(command).includes(flag)) {
          expect(here).toBe(`\`${flag}\``);
          continue;
        }
        const { must, hint = "" } = unknownFlagError(command, flag, [command, flag, "1"], commandOf(command)).details;
        if (here === "—") expect(must, `${flag} of ${command}`).not.toBe("every flag must be a known flag");
        else for (const ours of flagsIn(here)) expect(hint, `${flag} of ${command}`).toContain(ours);
      }
    }
  });
});
