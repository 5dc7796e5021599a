/** Activation patching: finds the activations of one text that cause its answer in another text. */
import { useEffect } from "preact/hooks";
import type { PatchAnswer, PatchPart, PatchReading, PatchRequest } from "../../../src/serve/studio/inside/protocol.ts";
import { capital, count, inPercent, loss, percent } from "../../parts/format.ts";
import { NarrowFold } from "../../parts/narrow-fold.tsx";
import { Notice } from "../../parts/notice.tsx";
import { Segmented } from "../../parts/segmented.tsx";
import { address, setQuery } from "../../shell/address.ts";
import { visible } from "../../tokens/surprise.ts";
import { Bars } from "../cells/bars.tsx";
import { Heat, type HeatCell, HeatKey } from "../cells/heat.tsx";
import { clipped } from "../names.ts";
import { indexOf, setIndex, setText, textOf, useAnswer } from "../state.ts";
import { TextForm } from "../text-form.tsx";
import type { Viewed } from "../viewed.ts";
import { type Found, type PatchTableProps, usePatches } from "./patches.ts";
import { changedIn, mostRestored, openingPlaces, placeKey, placeName, restoredBy, shownPlace } from "./restored.ts";
import { cellWords, movedWords, textsWords } from "./words.ts";

const parts = [
  { value: "residual", label: "Whole stream" },
  { value: "attention", label: "Attention" },
  { value: "mlp", label: "MLP" },
] as const;

const partOf = (query: URLSearchParams): PatchPart =>
  parts.find(({ value }) => value === query.get("part"))?.value ?? "residual";

const Reading = ({
  title,
  reading,
  answer,
}: {
  readonly title: string;
  readonly reading: PatchReading | undefined;
  readonly answer: number;
}) => (
  <div>
    <Bars
      title={title}
      bars={(reading?.top ?? []).map(({ id, text, probability }) => ({
        key: id,
        name: visible(text),
        share: probability,
        text: percent(probability),
        isMarked: id === answer,
      }))}
    />
    <p class="soft num about">
      {reading === undefined
        ? "Choose a cell of the map."
        : `The answer has a probability of ${percent(reading.probability)}${reading.loss === null ? "." : `. The loss of the text is ${loss(reading.loss)} nats per token.`}`}
    </p>
  </div>
);

/** Name of a token above its column. If the texts differ here, both tokens are named. */
const Names = ({ n, base }: { readonly n: number; readonly base: PatchAnswer }) => {
  const [own, other] = [base.tokens.clean[n], base.tokens.corrupted[n]];
  const name = (text = ""): string => clipped(visible(text), 10);
  return (
    <>
      <span class="soft num">{n + 1}</span> <span class="mono">{name(own?.text)}</span>
      {own?.id !== other?.id && <span class="mono heat-other">{name(other?.text)}</span>}
    </>
  );
};

/** What the texts and the map show, with the values. */
const Says = ({
  base,
  found,
  part,
}: {
  readonly base: PatchAnswer;
  readonly found: Found;
  readonly part: PatchPart;
}) => (
  <div class="patch-says num" aria-live="polite">
    <p>{textsWords(base)}</p>
    <p>{cellWords(base)}</p>
    {part === "residual" && <p>{movedWords(found, base)}</p>}
  </div>
);

const PatchMap = ({ request, base }: PatchTableProps) => {
  const part = partOf(address.value.query);
  const { nLayer } = base.shape;
  const { clean } = base.tokens;
  const last = clean.length - 1;
  const chosen = { row: indexOf("layer", nLayer), column: indexOf("at", clean.length) };
  const isChosen = address.value.query.has("at");
  const own = { layer: chosen.row, position: chosen.column };
  const changed = changedIn(base.tokens);
  const opening = [...(isChosen ? [own] : []), ...openingPlaces(base.shape, clean.length, changed)];
  const { found, failure, isUnderWay, ask, askOne, stop } = usePatches({ request, base }, part, opening);
  const key = placeKey(own);
  useEffect(() => {
    if (isChosen && !found.has(key)) askOne(own);
  }, [key, isUnderWay]);
  const everywhere = Array.from({ length: nLayer * clean.length }, (_, n) => ({
    layer: Math.floor(n / clean.length),
    position: n % clean.length,
  }));
  const left = everywhere.filter((place) => !found.has(placeKey(place)));
  // At the last token, the whole stream after the last layer is the prediction itself, so this place is no finding.
  const counted = part === "residual" ? [...found].filter(([place]) => !place.endsWith(` ${last}`)) : found;
  const best = mostRestored(new Map(counted), base);
  const shown = shownPlace(isChosen ? own : undefined, best, isUnderWay);
  const cellAt = (layer: number, position: number): HeatCell => {
    const share = found.get(placeKey({ layer, position }))?.probability;
    if (share === undefined) return { value: undefined, words: "not tried yet" };
    const value = restoredBy(share, base);
    const isBest = best?.layer === layer && best.position === position;
    return {
      // A smaller difference is a rounding error, not a decrease.
      value: value < 0 && value > -0.005 ? 0 : value,
      words: `the answer has ${percent(share)}, ${inPercent(Math.round(100 * value))} restored`,
      className: isBest ? "heat-best" : "",
    };
  };
  return (
    <>
      <Says base={base} found={found} part={part} />
      <div class="toolbar">
        <Segmented
          label="Restore"
          value={part}
          options={parts}
          onChange={(next) => setQuery({ part: next === "residual" ? null : next })}
        />
        <AnswerChoice base={base} />
        {(isUnderWay || left.length > 0) && (
          <button
            type="button"
            class={isUnderWay ? "" : "primary"}
            onClick={() => (isUnderWay ? stop() : void ask(left))}
          >
            {isUnderWay ? "Stop" : "Try every cell"}
          </button>
        )}
        {isUnderWay && (
          <span class="soft num about">
            {count(found.size)} of {count(everywhere.length)}
          </span>
        )}
      </div>
      {failure !== undefined && <Notice tone="bad">{failure.error}</Notice>}
      <div class="map-and-list">
        <div class="heat-column" aria-busy={isUnderWay}>
          <HeatKey
            label="Probability of the answer with one activation restored"
            from={`second text, ${percent(base.corrupted.probability)}`}
            to={`first text, ${percent(base.clean.probability)}`}
            against="further away"
            none={left.length > 0 ? "not tried" : undefined}
          />
          <Heat
            label="Places to patch: Enter tries a place"
            corner="Layer"
            rows={Array.from({ length: nLayer }, (_, n) => String(n + 1))}
            columns={clean.map((_, n) => <Names key={n} n={n} base={base} />)}
            nameOf={(layer, position) => capital(placeName({ layer, position }))}
            cell={cellAt}
            hint="Point at a cell to see its values. Choose a cell to try only this cell."
            {...(isChosen ? { chosen } : {})}
            {...(changed[0] === undefined ? {} : { firstColumn: changed[0] })}
            onChoose={(layer, at) => setIndex({ layer, at })}
          />
        </div>
        <div>
          <p class="row best-patch">
            <span class={best === undefined ? "soft" : "num"}>
              {best === undefined
                ? "Try every cell to see where the answer is restored most."
                : `${part === "residual" ? "Before the last token, the" : "The"} answer is restored most at ${placeName(best)}: ${percent(best.probability)} (${count(found.size)} cells tried).`}
            </span>
            {best !== undefined && shown !== undefined && placeKey(best) !== placeKey(shown) && (
              <button type="button" class="quiet" onClick={() => setIndex({ layer: best.layer, at: best.position })}>
                Show it
              </button>
            )}
          </p>
          <div class="three-readings" aria-live="polite">
            <Reading title="First text" reading={base.clean} answer={base.answer.id} />
            <Reading title="Second text" reading={base.corrupted} answer={base.answer.id} />
            <Reading
              title={shown === undefined ? "Patched" : `Patched at ${placeName(shown)}`}
              reading={shown === undefined ? undefined : found.get(placeKey(shown))}
              answer={base.answer.id}
            />
          </div>
        </div>
      </div>
    </>
  );
};

/** The token with the reported probability. */
const AnswerChoice = ({ base }: { readonly base: PatchAnswer }) => (
  <label class="field inline">
    Answer
    <select value={base.answer.id} onChange={({ currentTarget }) => setQuery({ answer: currentTarget.value })}>
      {[base.answer, ...base.clean.top, ...base.corrupted.top]
        .filter(({ id }, n, list) => list.findIndex((one) => one.id === id) === n)
        .map(({ id, text: name }) => (
          <option key={id} value={id}>
            {visible(name)}
          </option>
        ))}
    </select>
  </label>
);

/** Says which of the two texts the page chose. The reader can return to the own text. */
const Chosen = ({ text, given, example }: Pick<Viewed, "text" | "given" | "example">) => (
  <p class="row soft about">
    {example === undefined
      ? "Searching for an example: a second text after which the model predicts another token…"
      : example === null
        ? "No example found: change one token of the second text."
        : text === given
          ? "The second text is an example of the page: one token of the first text is changed."
          : "Both texts are an example of the page: a part of the run’s last sample, and the same part with one token changed."}
    {text !== given && (
      <button type="button" onClick={() => setQuery({ whole: "1" })}>
        Use the text of the other tabs
      </button>
    )}
  </p>
);

export const Patching = ({ model, text, given, all, example }: Viewed) => {
  const own = textOf("corrupted");
  const isOpening = own === "" && example === undefined;
  const corrupted = own || (example === undefined ? "" : (example ?? text));
  const asked = address.value.query.get("answer");
  const answer = asked !== null && /^\d{1,9}$/.test(asked) ? { answer: Number(asked) } : {};
  const request: PatchRequest = { model, clean: text, corrupted, ...answer, places: [] };
  const found = useAnswer<PatchAnswer, PatchRequest>("inside/patch", isOpening ? undefined : request);
  const { value, failure, isWaiting } = found;
  return (
    <>
      <NarrowFold name="How patching works">
        <p class="about-view">
          Patching shows where in the model the information for a prediction is. It needs two texts that differ in one
          token, and after which the model predicts different tokens.
        </p>
      </NarrowFold>
      <TextForm
        label="Second text (corrupted), same number of tokens"
        text={corrupted}
        own={own}
        placeholder={isOpening ? "Searching for an example…" : ""}
        failure={failure}
        all={undefined}
        onText={(next) => {
          // The clean text may be a proposal, too. The reader's corrupted text belongs to it.
          setText("text", text);
          setText("corrupted", next);
        }}
      />
      {own === "" && <Chosen text={text} given={given} example={example} />}
      {all.left > 0 && <p class="soft about">The text must fit the context length: shorten it.</p>}
      {value !== undefined && !isOpening && (
        <div aria-busy={isWaiting}>
          {corrupted === text
            ? own !== "" && (
                <p class="row">
                  Both texts are the same: change the second text.
                  <button type="button" onClick={() => setText("corrupted", "")}>
                    Propose a text
                  </button>
                </p>
              )
            : found.asked !== undefined && <PatchMap request={found.asked} base={value} />}
        </div>
      )}
    </>
  );
};
