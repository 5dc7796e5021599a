/** Measures a given text. The shade of each token shows how much the token surprises the model. */
import { signal, useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { Failure, ScoreAnswer } from "../../src/serve/studio/protocol.ts";
import { modelOf } from "../models/columns.ts";
import { ModelChoice } from "../models/model-choice.tsx";
import { writtenClass } from "../parts/code.ts";
import { count } from "../parts/format.ts";
import { mainActionKeys, mainActionTitle, onMainAction } from "../parts/main-action.ts";
import { Notice } from "../parts/notice.tsx";
import { api, postJson } from "../server/request.ts";
import { keep, readKept } from "../shell/kept.ts";
import { Candidates } from "../tokens/candidates.tsx";
import { form, Legend } from "../tokens/legend.tsx";
import { visible } from "../tokens/surprise.ts";
import { type ShownToken, TokenText } from "../tokens/token-text.tsx";
import { candidatesShown } from "../tokens/written-token.ts";
import { LookInside } from "./look-inside.tsx";
import { figuresOf } from "./score-figures.ts";
import { change, chooseModel, settings } from "./settings.ts";

/** A tab may keep an answer of an earlier version, which does not say what was predicted. */
const keptAnswer = (): ScoreAnswer | undefined => {
  const kept = readKept<Partial<ScoreAnswer>>("scored");
  return kept?.predicted === undefined ? undefined : (kept as ScoreAnswer);
};

const scored = signal<ScoreAnswer | undefined>(keptAnswer());

const shownToken = ({ id, text, logProb, candidates }: ScoreAnswer["tokens"][number]): ShownToken => ({
  id,
  text,
  probability: logProb === null ? undefined : Math.exp(logProb),
  isChosen: false,
  candidates,
});

const Totals = ({ of }: { readonly of: ScoreAnswer }) => (
  <>
    <div class="headline">
      {figuresOf(of).map(({ label, value, note }) => (
        <div class="figure" key={label}>
          <span class="figure-label">{label}</span>
          <span class="figure-value num">{value}</span>
          <span class="figure-note num">{note}</span>
        </div>
      ))}
    </div>
    {of.predicted.tokens < of.tokens.length && (
      <p class="soft about">No figure counts the first token: nothing is before it, so nothing predicts it.</p>
    )}
  </>
);

const Characters = ({ of }: { readonly of: readonly string[] }) => (
  <span class="mono">{of.map(visible).join(" ")}</span>
);

export const Score = () => {
  const failure = useSignal<Failure | undefined>(undefined);
  const asking = useSignal(false);
  const selected = useSignal<number | null>(null);
  const first = useRef<HTMLButtonElement>(null);
  const { scoreText } = settings.value;
  const model = modelOf("left");
  const isReady = !asking.value && model !== "" && scoreText !== "";
  const ask = async (unknown: "error" | "skip") => {
    asking.value = true;
    failure.value = undefined;
    const body = { model, text: scoreText, candidates: candidatesShown, unknown };
    const answer = await postJson<ScoreAnswer>(`${api}/score`, body);
    asking.value = false;
    selected.value = null;
    if (answer.kind === "failed") failure.value = answer.failure;
    else {
      scored.value = answer.value;
      keep("scored", answer.value);
    }
  };
  const answer = scored.value;
  const tokens = answer?.tokens.map(shownToken) ?? [];
  const at = selected.value;
  const token = at === null ? undefined : tokens[at];
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys of its fields
    <section class="score" onKeyDown={onMainAction(() => isReady && void ask("error"))}>
      <ModelChoice label="Model" value={model} onChoose={(key) => chooseModel("left", key)} />
      <label class="field">
        Text
        <textarea
          rows={5}
          spellcheck={false}
          placeholder="Paste a text: how well does the model predict it?"
          value={scoreText}
          onInput={({ currentTarget }) => change({ scoreText: currentTarget.value })}
        />
      </label>
      <p class="row">
        <button
          type="button"
          class="primary"
          disabled={!isReady}
          title={mainActionTitle}
          aria-keyshortcuts={mainActionKeys}
          onClick={() => void ask("error")}
        >
          {asking.value ? "Reading…" : "Measure"}
        </button>
        {(model === "" || scoreText === "") && <span class="soft">{model === "" ? "Choose a model first." : ""}</span>}
      </p>
      {failure.value !== undefined && (
        <Notice tone="bad">
          {failure.value.characters === undefined ? (
            failure.value.error
          ) : (
            <>
              <p>
                The model never saw {failure.value.characters.length === 1 ? "this character" : "these characters"} of
                the text: <Characters of={failure.value.characters} />
              </p>
              <p>
                <button type="button" disabled={asking.value} onClick={() => void ask("skip")}>
                  Measure the text without {failure.value.characters.length === 1 ? "it" : "them"}
                </button>
              </p>
            </>
          )}
        </Notice>
      )}
      {answer?.skipped !== undefined && (
        <Notice tone="plain">
          {count(answer.skipped.count)} {answer.skipped.count === 1 ? "character was" : "characters were"} left out:{" "}
          <Characters of={answer.skipped.characters} />
        </Notice>
      )}
      {answer !== undefined && (
        <>
          <Totals of={answer} />
          {model !== "" && (
            <p>
              <LookInside model={model} text={answer.tokens.map(({ text }) => text).join("")} />
            </p>
          )}
          <Legend />
          <div class="written-and-inspector beside">
            <div class="written-box">
              <div class={writtenClass(answer.tokens.map(({ text }) => text).join(""))} dir="auto">
                <TokenText
                  name="score-token"
                  label="Tokens of the text: arrow keys move"
                  tokens={tokens}
                  form={form.value}
                  selected={selected}
                  onOpen={() => {}}
                />
              </div>
            </div>
            <div class="inspector">
              {token === undefined || at === null ? (
                <p class="soft">Point at a token, tap it, or use the arrow keys to see here what the model expected.</p>
              ) : (
                <Candidates
                  index={at}
                  token={token}
                  candidates={answer.tokens[at]?.candidates ?? []}
                  onChoose={undefined}
                  first={first}
                />
              )}
            </div>
          </div>
        </>
      )}
    </section>
  );
};
