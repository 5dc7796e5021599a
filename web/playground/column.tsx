/** Column with a text and its branches. With two columns, also with the model of the column and its settings. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { isDouble, modelOf, type Side, sidesShown } from "../models/columns.ts";
import { ModelChoice } from "../models/model-choice.tsx";
import { writtenClass } from "../parts/code.ts";
import { Copy } from "../parts/copy.tsx";
import { count } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { Candidates } from "../tokens/candidates.tsx";
import { form, Legend } from "../tokens/legend.tsx";
import { type Form, TokenText } from "../tokens/token-text.tsx";
import { beginningOf, plainText, spokenToken } from "../tokens/token-words.ts";
import { LookInside } from "./look-inside.tsx";
import { SamplingControls } from "./sampling.tsx";
import { chooseModel } from "./settings.ts";
import { branch, isRefused, show, shown, shownOf, type Writing, writeWithout, writings } from "./writing.ts";

const depthOf = (writing: Writing, all: readonly Writing[]): number => {
  let depth = 0;
  for (let at: Writing | undefined = writing; at?.parent != null; depth++) {
    const { parent }: Writing = at;
    at = all.find(({ id }) => id === parent);
  }
  return depth;
};

/** Sorts texts so that the branches of each text follow it. */
const inTree = (all: readonly Writing[]): readonly Writing[] => {
  const below = (parent: number | null): Writing[] =>
    all.filter((one) => one.parent === parent).flatMap((one) => [one, ...below(one.id)]);
  const ids = new Set(all.map(({ id }) => id));
  // The parent of a branch may have been deleted.
  const orphans = all.filter(({ parent }) => parent !== null && !ids.has(parent));
  return [...below(null), ...orphans.flatMap((one) => [one, ...below(one.id)])];
};

/** First token of a branch, which the reader chose. */
const chosenIn = ({ tokens, shared: length }: Writing): string => {
  const token = tokens[length - 1];
  return token === undefined ? "" : spokenToken(token);
};

const Branches = ({ side }: { readonly side: Side }) => {
  // If there is only one column, it lists the texts of both columns. A refused prompt has no text.
  const all = writings.value.filter((one) => (!isDouble() || one.side === side) && !isRefused(one));
  if (all.every(({ id }) => id === shown.value[side])) return null;
  return (
    <details class="branches" open>
      <summary>
        {count(all.length)} {all.length === 1 ? "text" : "texts"} <span class="soft">to go back to</span>
      </summary>
      <ul>
        {inTree(all).map((one) => (
          <li key={one.id} class={`depth-${Math.min(5, depthOf(one, all))}`}>
            <button
              type="button"
              class="branch"
              aria-current={one.id === shown.value[side]}
              onClick={() => show(side, one.id)}
            >
              {one.parent === null ? (
                <>
                  <b>Text {one.id}</b> <span class="branch-beginning">{beginningOf(one.tokens)}</span>{" "}
                  <span class="soft">
                    {one.modelName}, {one.about}
                  </span>
                </>
              ) : (
                <>
                  <b>↳ Text {one.id}</b> token {one.shared}: <span class="mono">{chosenIn(one)}</span>{" "}
                  <span class="soft">{one.modelName}</span>
                </>
              )}
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
};

const textOf = ({ prompt, tokens }: Writing): string => prompt + tokens.map(plainText).join("");

/** How the chosen display shows probabilities. */
const formWords: Readonly<Record<Form, string>> = {
  shade: "Less probable tokens have a stronger shade.",
  underline: "Less probable tokens have a heavier underline.",
  numbers: "Each token stands above its surprise, in bits.",
};

const meanwhile = ({ paused, sharedWith }: Writing): string => {
  if (paused.length > 0) return `Writing · training of ${paused.join(", ")} is paused`;
  if (sharedWith.length > 0)
    return `Writing · ${sharedWith.join(", ")} is training in another process, so writing and training are slower`;
  return "Writing";
};

export const Column = ({ side, label }: { readonly side: Side; readonly label: string }) => {
  const writing = shownOf(side);
  const hasTokens = writing !== undefined && writing.tokens.length > 0;
  const selected = useSignal<number | null>(null);
  const first = useRef<HTMLButtonElement>(null);
  const at = selected.value;
  const token = at === null ? undefined : writing?.tokens[at];
  return (
    <section class="column" aria-label={label}>
      {isDouble() && (
        <>
          <ModelChoice label={label} value={modelOf(side)} onChoose={(key) => chooseModel(side, key)} />
          <SamplingControls side={side} />
        </>
      )}
      <div class={isDouble() ? "written-and-inspector" : "written-and-inspector beside"}>
        <div class="written-box" aria-busy={writing?.state === "writing"}>
          {writing !== undefined && isRefused(writing) ? (
            <Notice tone="bad">
              <p>{writing.note}</p>
              {writing.unknown !== undefined && (
                <p>
                  <button type="button" onClick={() => void writeWithout(writing.unknown ?? [], sidesShown())}>
                    Write without {writing.unknown.length === 1 ? "it" : "them"}
                  </button>
                </p>
              )}
            </Notice>
          ) : writing === undefined ? (
            <p class="soft text-to-come">The model’s text appears here. {formWords[form.value]}</p>
          ) : (
            <div class={writtenClass(textOf(writing))} dir="auto">
              <span class="prompt">{writing.prompt}</span>
              <TokenText
                name={`${side}-token`}
                label="Written tokens: arrow keys move, Enter opens the candidates"
                tokens={writing.tokens}
                form={form.value}
                selected={selected}
                onOpen={() => first.current?.focus()}
              />
              {writing.state === "writing" && <span class="caret" aria-hidden="true" />}
            </div>
          )}
        </div>
        <p class="written-foot soft num" role="status">
          {writing !== undefined && !isRefused(writing) && (
            <span>
              {writing.state === "writing" ? meanwhile(writing) : `${count(writing.tokens.length)} tokens`}
              {` · by ${writing.modelName}`}
              {writing.note !== "" && writing.state !== "failed" && ` · ${writing.note}`}
            </span>
          )}
          {writing !== undefined && writing.tokens.length > 0 && (
            <span class="written-links">
              {writing.state !== "writing" && <LookInside model={writing.model} text={textOf(writing)} />}
              <Copy quiet label="Copy text" text={() => textOf(writing)} />
            </span>
          )}
        </p>
        {!isDouble() && <Legend />}
        <div class="inspector">
          {!hasTokens ? null : writing === undefined || token === undefined || at === null ? (
            <p class="soft">
              Point at a token to see its alternatives here. To keep the alternatives in view, click or tap the token or
              press an arrow key. Then choose an alternative to continue the text from there.
            </p>
          ) : (
            <Candidates
              index={at}
              token={token}
              candidates={token.candidates}
              first={first}
              onChoose={(candidate) => {
                selected.value = null;
                void branch(side, writing, at, candidate);
              }}
            />
          )}
        </div>
      </div>
      {writing?.state === "failed" && !isRefused(writing) && <Notice tone="bad">{writing.note}</Notice>}
      <Branches side={side} />
    </section>
  );
};
