/** The models that a run learns from, its teachers: what they must have in common with the run. */
import type { RunConfig } from "../../config/config.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import type { ModelConfig } from "../../models/config.ts";
import type { WeightSource } from "../../pretrained/pretrained.ts";
import type { TokenizerConfig } from "../../tokenizer/config.ts";
import { tokenizerConfigOf } from "../../tokenizer/from-config.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";

/** An opened teacher. Its weights are read when memory is allocated for them. */
export interface Teacher {
  /** Its directory or file, valid in any working directory. */
  readonly path: string;
  /** Hash of its weights, as `Pretrained.sha256`. */
  readonly sha256: string;
  /** Hash of its configuration and tokenizer. The same weights compute something else with another configuration. */
  readonly configSha256: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly weights: WeightSource;
}

/**
 * Changes to a new run's configuration that follow from its teachers. Without initial weights, the run uses the
 * tokenizer of the first teacher.
 */
export const changesOfTeachers = ([first]: readonly Teacher[], hasWeights: boolean): readonly object[] => {
  if (first === undefined) return [];
  const tokenizer = hasWeights ? {} : { tokenizer: tokenizerConfigOf(first.tokenizer) };
  return [{ ...tokenizer, train: { teacher: {} } }];
};

/** @throws ConfigError if the configuration says how to learn from teachers, but there are none. */
export const checkHasTeachers = ({ train }: RunConfig, count: number): void => {
  if (train.teacher === undefined || count > 0) return;
  throw new ConfigError({
    where: "config.train.teacher",
    must: "must be used with a model to learn from",
    got: "no teacher",
    hint: "teacher MODEL",
  });
};

/** @throws ConfigError for a run that learns from teachers, where there are no files to open them from. */
export const checkNoTeachers = ({ train }: RunConfig): void => {
  if (train.teacher === undefined) return;
  throw new ConfigError({
    where: "config.train.teacher",
    must: "must be left out in a page, where a run learns only from its text",
    got: show(train.teacher),
    hint: "training with teachers in Node",
  });
};

/** A tokenizer's settings in words. */
const wordsOf = (tokenizer: TokenizerConfig): string => {
  if (tokenizer.kind !== "bpe") return tokenizer.kind;
  const { vocabSize, pattern, specialTokens } = tokenizer;
  const special = specialTokens.length === 0 ? "" : `, specialTokens ${show(specialTokens)}`;
  return `bpe with vocabSize ${vocabSize}, pattern ${pattern}${special}`;
};

/**
 * Checks the plan of a new run.
 * @param hasWeights whether the run starts from given weights, whose tokenizer it uses.
 * @throws ConfigError for settings without a teacher, and if a run without given weights asks for another tokenizer than
 * the first teacher's, which it uses.
 */
export const checkPlanOfTeachers = (teachers: readonly Teacher[], config: RunConfig, hasWeights: boolean): void => {
  checkHasTeachers(config, teachers.length);
  const [first] = teachers;
  if (first === undefined || hasWeights) return;
  const { tokenizer } = config;
  const known = tokenizerConfigOf(first.tokenizer);
  if (JSON.stringify(known) === JSON.stringify(tokenizer)) return;
  throw new ConfigError({
    where: "config.tokenizer",
    must: `must be the tokenizer of the teacher ${first.path}: ${wordsOf(known)}`,
    got: wordsOf(tokenizer),
    hint: "leaving it out",
  });
};

/** The first id that does not mean the same in two vocabularies; undefined if there is none. */
const differingId = (one: Tokenizer, other: Tokenizer): number | undefined => {
  const names = new Map(other.specialTokens.map(({ id, name }) => [id, name]));
  const special = new Map(one.specialTokens.map(({ id, name }) => [id, name]));
  for (let id = 0; id < one.vocabSize; id++) {
    if (special.get(id) !== names.get(id)) return id;
    const [a, b] = [one.bytes(id), other.bytes(id)];
    if (a.length !== b.length || a.some((byte, i) => byte !== b[i])) return id;
  }
  return undefined;
};

/**
 * Checks that all teachers give probabilities for the run's tokens, and see at least as many tokens as the run.
 * @throws ConfigError that names the first teacher that does not fit.
 */
export const checkTeachers = (teachers: readonly Teacher[], { model }: RunConfig, tokenizer: Tokenizer): void => {
  for (const teacher of teachers) {
    const where = `teacher ${teacher.path}`;
    const { vocabSize } = teacher.tokenizer;
    const must = "the teacher must have the tokenizer of the run";
    if (vocabSize !== tokenizer.vocabSize) {
      throw new ConfigError({
        where,
        must,
        got: `${vocabSize} tokens, not ${tokenizer.vocabSize}`,
        hint: "a teacher that was trained with this tokenizer",
      });
    }
    const id = differingId(tokenizer, teacher.tokenizer);
    if (id !== undefined) {
      const [own, theirs] = [tokenizer.token(id), teacher.tokenizer.token(id)].map(show);
      throw new ConfigError({
        where,
        must,
        got: `${theirs} as token ${id}, which is ${own} in the run`,
        hint: "a teacher that was trained with this tokenizer",
      });
    }
    const { contextLength } = teacher.config;
    if (contextLength >= model.contextLength) continue;
    throw new ConfigError({
      where,
      must: `the teacher must see at least the ${model.contextLength} tokens that the run sees (model.contextLength)`,
      got: `a context length of ${contextLength}`,
      hint: `model.contextLength ${contextLength}`,
    });
  }
};
