/** View of a model's inside. The user chooses the model, its checkpoint, the text, and a tab. */
import { useEffect, useState } from "preact/hooks";
import type { TokensAnswer } from "../../src/serve/studio/inside/protocol.ts";
import { Notice } from "../parts/notice.tsx";
import { Segmented } from "../parts/segmented.tsx";
import { models } from "../server/facts.ts";
import { followRuns, runs } from "../server/run-list.ts";
import { address } from "../shell/address.ts";
import { AttentionView } from "./attention/attention-view.tsx";
import { ModelAndCheckpoint, takeModel } from "./checkpoints.tsx";
import { firstText } from "./first-text.ts";
import { HeadsOff } from "./heads/heads-off.tsx";
import { LensTable } from "./lens/lens-table.tsx";
import { isSameModel, modelName } from "./names.ts";
import { NearestTokens } from "./nearest-tokens.tsx";
import { usePair } from "./patching/pair.ts";
import { Patching } from "./patching/patching.tsx";
import { modelOf, setText, showTab, type Tab, tabOf, tabs, textOf, useAnswer, waiting } from "./state.ts";
import { TextForm } from "./text-form.tsx";
import { textBefore } from "./texts.ts";

const readingWords = (model: string): string =>
  model.startsWith("models/hf:")
    ? "Reading the model. If the model is not on this machine yet, it is downloaded first. The download can take minutes…"
    : "Reading the model…";

/** Seconds after which the page shows how long it has waited. */
const longWait = 3;

const Waiting = ({ words }: { readonly words: string }) => {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const began = performance.now();
    const timer = setInterval(() => setSeconds(Math.floor((performance.now() - began) / 1000)), 1000);
    return () => clearInterval(timer);
  }, []);
  return (
    <span>
      {words}
      {seconds >= longWait && (
        <span class="num" aria-hidden="true">
          {" "}
          {seconds} s
        </span>
      )}
    </span>
  );
};

const shown = {
  attention: AttentionView,
  lens: LensTable,
  neighbours: NearestTokens,
  heads: HeadsOff,
  patching: Patching,
} as const satisfies Readonly<Record<Tab, unknown>>;

export const InsideView = () => {
  useEffect(() => followRuns(), []);
  const weights = (runs.value ?? []).map(({ name, best, hasCheckpoint, step }) =>
    [name, best?.step, hasCheckpoint, step].join(" "),
  );
  useEffect(() => void models.load(), [weights.join("\n")]);
  const { query } = address.value;
  useEffect(() => takeModel(query.get("run")), [models.value.value, query]);
  const model = modelOf();
  const given = textOf("text");
  useEffect(() => {
    if (given !== "" || model === "") return;
    waiting.value++;
    void firstText(model)
      .then((first) => {
        if (textOf("text") === "" && modelOf() === model) setText("text", first);
      })
      .finally(() => {
        waiting.value--;
      });
  }, [given, model]);
  const tab = tabOf();
  const own = textOf("corrupted");
  // The reader's own corrupted text needs no proposal, unless it equals the clean text.
  const canPropose = own === "" || own === given;
  const { pair, isLooking } = usePair(
    { model, text: given, isWhole: query.has("whole") },
    tab === "patching" && given !== "" && model !== "" && canPropose,
  );
  // The proposed clean text may be a part of a sample. Other tabs show the given text.
  const text = tab === "patching" && canPropose ? (pair?.clean ?? given) : given;
  const body = model === "" || text === "" ? undefined : { model, text };
  const { value: all, asked, failure } = useAnswer<TokensAnswer, { model: string; text: string }>("inside/text", body);
  const known = models.value.value?.models;
  // Until the next model is loaded, everything below belongs to the previous model. Another checkpoint of the same run
  // does not count as another model.
  const isOfBefore = asked !== undefined && !isSameModel(known ?? [], asked.model, model);
  const looked = isOfBefore ? { ...asked, given: asked.text } : { model, text, given };
  const before = textBefore(model);
  const example = isLooking ? undefined : (pair?.corrupted ?? null);
  const waitingWords = all === undefined || isOfBefore ? readingWords(model) : "Computing…";
  const Shown = shown[tab];
  return (
    <section class="inside">
      <div class="view-head">
        <h1>Inside</h1>
        <Segmented label="What to look at" showLabel={false} value={tab} options={tabs} onChange={showTab} />
      </div>
      {models.failure.value !== undefined && <Notice tone="bad">{models.failure.value.error}</Notice>}
      {known?.length === 0 && (
        <Notice tone="plain">
          There is no model yet. A run has a model after its first checkpoint. <a href="/new">Start a run</a>
        </Notice>
      )}
      {known?.length !== 0 && (
        <div class="inside-top">
          <ModelAndCheckpoint />
          <TextForm
            label={tab === "patching" ? "First text (clean)" : "Text"}
            text={text || before}
            own={given || before}
            failure={failure}
            all={all}
            isOfBefore={isOfBefore}
            onText={(next) => setText("text", next)}
          />
        </div>
      )}
      <p class="computing" role="status">
        {waiting.value > 0 && <Waiting key={waitingWords} words={waitingWords} />}
      </p>
      {all !== undefined && (
        <div class={isOfBefore ? "of-before" : ""} inert={isOfBefore} aria-busy={isOfBefore}>
          <Shown key={modelName(known ?? [], looked.model)} {...looked} all={all} example={example} />
        </div>
      )}
    </section>
  );
};
