import { ConfigError } from "../../../core/errors/errors.ts";
import type { CharSet } from "../automata/char-set.ts";
import { both, type Dfa } from "../automata/dfa.ts";
import { dfaOf } from "../automata/from-regex.ts";
import type { Regex } from "../automata/regex.ts";
import { spend } from "../budget.ts";
import type { CharacterLeaf } from "../machine/character-leaf.ts";
import type { Output, Place, Stack } from "../machine/ways.ts";
import { freeDfa } from "../schema/strings.ts";
import type { Expression, Rules } from "./parse-grammar.ts";

const where = "constraint: grammar";

/** An expression in the format of the machine. Each part without recursion becomes one automaton. */
type Step =
  | { readonly kind: "text"; readonly dfa: Dfa }
  | { readonly kind: "rule"; readonly name: string }
  | { readonly kind: "sequence"; readonly id: number; readonly parts: readonly Step[] }
  | { readonly kind: "either"; readonly options: readonly Step[] }
  | {
      readonly kind: "repeat";
      readonly id: number;
      readonly part: Step;
      readonly least: number;
      readonly most: number | null;
    };

/** Counter for ids of sequences and repetitions, shared by all grammars. */
let ids = 0;

const insideOf = (expression: Expression): readonly Expression[] => {
  if (expression.kind === "sequence") return expression.parts;
  if (expression.kind === "either") return expression.options;
  return expression.kind === "repeat" ? [expression.part] : [];
};

/** Names of all rules that an expression uses, directly or through other rules. */
const reached = (rules: Rules, from: Expression): Set<string> => {
  const names = new Set<string>();
  const visit = (expression: Expression): void => {
    spend(1, where);
    if (expression.kind === "rule" && !names.has(expression.name)) {
      names.add(expression.name);
      const inside = rules.get(expression.name);
      if (inside !== undefined) visit(inside);
    }
    insideOf(expression).forEach(visit);
  };
  visit(from);
  return names;
};

/** The steps of each rule. A rule without recursion is replaced by its automaton. */
const stepsOf = (rules: Rules, alphabet: CharSet): ReadonlyMap<string, Step> => {
  const recursive = new Set([...rules].filter(([name, rule]) => reached(rules, rule).has(name)).map(([name]) => name));
  const isText = (expression: Expression): boolean =>
    (expression.kind !== "rule" || !recursive.has(expression.name)) &&
    [...reached(rules, expression)].every((name) => !recursive.has(name));
  const regexOf = (expression: Expression): Regex => {
    spend(10, where);
    switch (expression.kind) {
      case "text":
        return expression.regex;
      case "rule": {
        const rule = rules.get(expression.name);
        return rule === undefined ? { kind: "either", options: [] } : regexOf(rule);
      }
      case "sequence":
        return { ...expression, parts: expression.parts.map(regexOf) };
      case "either":
        return { ...expression, options: expression.options.map(regexOf) };
      case "repeat":
        return { ...expression, part: regexOf(expression.part) };
      default:
        return expression satisfies never;
    }
  };
  const textOf = (regex: Regex): Step => ({ kind: "text", dfa: both(dfaOf(regex, where), freeDfa(alphabet), where) });
  const stepOf = (expression: Expression): Step => {
    spend(10, where);
    if (isText(expression)) return textOf(regexOf(expression));
    switch (expression.kind) {
      case "sequence": {
        const parts: Step[] = [];
        let texts: Regex[] = [];
        const flush = (): void => {
          if (texts.length > 0) parts.push(textOf({ kind: "sequence", parts: texts }));
          texts = [];
        };
        for (const part of expression.parts) {
          if (isText(part)) texts.push(regexOf(part));
          else {
            flush();
            parts.push(stepOf(part));
          }
        }
        flush();
        return { kind: "sequence", id: ids++, parts };
      }
      case "either":
        return { kind: "either", options: expression.options.map(stepOf) };
      case "repeat":
        return { ...expression, id: ids++, part: stepOf(expression.part) };
      case "rule":
        return expression;
      case "text":
        return textOf(expression.regex);
      default:
        return expression satisfies never;
    }
  };
  return new Map(
    [...rules].filter(([name, rule]) => name === "root" || !isText(rule)).map(([name, rule]) => [name, stepOf(rule)]),
  );
};

/** Names of the rules that satisfy `holds`: the least fixed point. */
const leastSet = (
  steps: ReadonlyMap<string, Step>,
  holds: (step: Step, names: ReadonlySet<string>) => boolean,
): ReadonlySet<string> => {
  const names = new Set<string>();
  for (let size = -1; size !== names.size; ) {
    size = names.size;
    for (const [name, step] of steps) if (holds(step, names)) names.add(name);
  }
  return names;
};

/** Whether the step allows a finite text. */
const canEnd = (step: Step, names: ReadonlySet<string>): boolean => {
  spend(1, where);
  if (step.kind === "text") return step.dfa.start >= 0;
  if (step.kind === "rule") return names.has(step.name);
  if (step.kind === "sequence") return step.parts.every((part) => canEnd(part, names));
  if (step.kind === "either") return step.options.some((option) => canEnd(option, names));
  return step.least === 0 || canEnd(step.part, names);
};

/** Whether the step allows the empty text. */
const mayBeEmpty = (step: Step, names: ReadonlySet<string>): boolean => {
  spend(1, where);
  if (step.kind === "text") return step.dfa.start >= 0 && (step.dfa.labels[step.dfa.start] as number) >= 0;
  if (step.kind === "rule") return names.has(step.name);
  if (step.kind === "sequence") return step.parts.every((part) => mayBeEmpty(part, names));
  if (step.kind === "either") return step.options.some((option) => mayBeEmpty(option, names));
  return step.least === 0 || mayBeEmpty(step.part, names);
};

/** @throws ConfigError for left recursion: a rule that begins with itself would never read a character. */
const checkLeft = (steps: ReadonlyMap<string, Step>, empty: ReadonlySet<string>): void => {
  const firstRules = (step: Step): readonly string[] => {
    if (step.kind === "rule") return [step.name];
    if (step.kind === "either") return step.options.flatMap(firstRules);
    if (step.kind === "repeat") {
      if (mayBeEmpty(step.part, empty)) {
        throw new ConfigError({
          where,
          must: "a repetition in a recursive rule must not repeat a part that may be empty",
          got: "a part that may be empty",
        });
      }
      return firstRules(step.part);
    }
    if (step.kind === "text") return [];
    const end = step.parts.findIndex((part) => !mayBeEmpty(part, empty));
    return step.parts.slice(0, end < 0 ? step.parts.length : end + 1).flatMap(firstRules);
  };
  const firsts = new Map([...steps].map(([name, step]) => [name, new Set(firstRules(step))]));
  for (const [name, first] of firsts) {
    for (const next of first) {
      spend(1 + (firsts.get(next)?.size ?? 0), where);
      for (const further of firsts.get(next) ?? []) first.add(further);
    }
    if (!first.has(name)) continue;
    throw new ConfigError({
      where: `${where}: ${name}`,
      must: "a rule must not begin with itself",
      got: "left recursion",
      hint: "a repetition with * or +",
    });
  }
};

/**
 * Turns a grammar into frames.
 * @returns the possible beginnings of a text of the grammar, or null if the vocabulary can write no text of the
 * grammar.
 */
export const grammarFrames = (
  rules: Rules,
  alphabet: CharSet,
  leafOf: (dfa: Dfa) => CharacterLeaf,
): ((stack: Stack, out: Output) => void) | null => {
  const steps = stepsOf(rules, alphabet);
  const finite = leastSet(steps, canEnd);
  checkLeft(steps, leastSet(steps, mayBeEmpty));
  const root = steps.get("root");
  if (root === undefined || !finite.has("root")) return null;
  const begin = (step: Step, stack: Stack, out: Output): void => {
    if (!canEnd(step, finite)) return;
    switch (step.kind) {
      case "text":
        out.read(leafOf(step.dfa), stack);
        return;
      case "rule": {
        const rule = steps.get(step.name);
        if (rule !== undefined) begin(rule, stack, out);
        return;
      }
      case "either":
        for (const option of step.options) begin(option, stack, out);
        return;
      case "sequence":
        partFrom(step, 0, stack, out);
        return;
      case "repeat":
        again(step, 0, stack, out);
        return;
      default:
        step satisfies never;
    }
  };
  const partFrom = (step: Step & { kind: "sequence" }, index: number, stack: Stack, out: Output): void => {
    const part = step.parts[index];
    if (part === undefined) {
      out.end(stack);
      return;
    }
    const isLast = index + 1 === step.parts.length;
    const next = {
      ...{ key: `s${step.id},${index + 1}`, isFlat: true as const },
      resume: (_: number, at: Place, to: Output) => partFrom(step, index + 1, at.parent, to),
    };
    begin(part, isLast ? stack : out.push(next, stack), out);
  };
  const again = (step: Step & { kind: "repeat" }, count: number, stack: Stack, out: Output): void => {
    if (count >= step.least) out.end(stack);
    if (step.most !== null && count >= step.most) return;
    const known = step.most === null ? Math.min(count + 1, step.least) : count + 1;
    const next = {
      ...{ key: `r${step.id},${known}`, isFlat: true as const },
      resume: (_: number, at: Place, to: Output) => again(step, known, at.parent, to),
    };
    begin(step.part, out.push(next, stack), out);
  };
  return (stack, out) => begin(root, stack, out);
};
