/** Activation patching: finds the activations of one text that cause its answer in another text. */
import { useEffect } from "preact/hooks";
import type { PatchAnswer, PatchPart, PatchReading } from "../../../src/serve/studio/inside/protocol.ts";
import { capital, count, loss, percent } from "../../parts/format.ts";
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
import { useExample } from "./example.ts";
import { type PatchTableProps, usePatches } from "./patches.ts";
import { mostRestored, placeKey, placeName, restoredBy, shownPlace } from "./restored.ts";

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

const PatchMap = ({ request, base }: PatchTableProps) => {
  const part = partOf(address.value.query);
  const { nLayer } = base.shape;
  const { clean, corrupted } = base.tokens;
  const { found, failure, isUnderWay, ask, stop } = usePatches({ request, base }, part);
  const chosen = { row: indexOf("layer", nLayer), column: indexOf("at", clean.length) };
  const isChosen = address.value.query.has("at");
  const key = placeKey({ layer: chosen.row, position: chosen.column });
  useEffect(() => {
    if (isChosen && !found.has(key)) void ask([{ layer: chosen.row, position: chosen.column }]);
  }, [key, part, JSON.stringify(request), base.answer.id]);
  const everywhere = Array.from({ length: nLayer * clean.length }, (_, n) => ({
    layer: Math.floor(n / clean.length),
    position: n % clean.length,
  }));
  const left = everywhere.filter((place) => !found.has(placeKey(place)));
  const changed = clean.findIndex(({ id }, n) => id !== corrupted[n]?.id);
  const best = mostRestored(found, base);
  const shown = shownPlace(isChosen ? { layer: chosen.row, position: chosen.column } : undefined, best, isUnderWay);
  const cellAt = (layer: number, position: number): HeatCell => {
    const share = found.get(placeKey({ layer, position }))?.probability;
    if (share === undefined) return { value: undefined, words: "not tried yet" };
    const value = restoredBy(share, base);
    const isBest = best?.layer === layer && best.position === position;
    return {
      // A smaller difference is a rounding error, not a decrease.
      value: value < 0 && value > -0.005 ? 0 : value,
      words: `the answer has ${percent(share)}, ${Math.round(100 * value)} % restored`,
      className: isBest ? "heat-best" : "",
    };
  };
  return (
    <>
      <div class="toolbar">
        <Segmented
          label="Restore"
          value={part}
          options={parts}
          onChange={(next) => setQuery({ part: next === "residual" ? null : next })}
        />
        <button
          type="button"
          class={left.length > 0 && !isUnderWay ? "primary" : ""}
          disabled={left.length === 0 && !isUnderWay}
          onClick={() => (isUnderWay ? stop() : void ask(left))}
        >
          {isUnderWay ? "Stop" : "Try every cell"}
        </button>
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
            from={`as corrupted, ${percent(base.corrupted.probability)}`}
            to={`as clean, ${percent(base.clean.probability)}`}
            against="further from clean"
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
            {...(changed > 0 ? { firstColumn: changed } : {})}
            onChoose={(layer, at) => setIndex({ layer, at })}
          />
        </div>
        <div>
          <p class="row best-patch">
            <span class={best === undefined ? "soft" : "num"}>
              {best === undefined
                ? "Try every cell to see where the answer is restored most."
                : `The answer is restored most at ${placeName(best)}: ${percent(best.probability)} (${count(found.size)} cells tried).`}
            </span>
            {best !== undefined && shown !== undefined && placeKey(best) !== placeKey(shown) && (
              <button type="button" class="quiet" onClick={() => setIndex({ layer: best.layer, at: best.position })}>
                Show it
              </button>
            )}
          </p>
          <div class="three-readings" aria-live="polite">
            <Reading title="Clean" reading={base.clean} answer={base.answer.id} />
            <Reading title="Corrupted" reading={base.corrupted} answer={base.answer.id} />
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

export const Patching = ({ model, text, all }: Viewed) => {
  const own = textOf("corrupted");
  // The reader's own corrupted text needs no example, unless it equals the clean text.
  const { example, isLooking } = useExample(model, text, all.tokens.length, own === "" || own === text);
  const isOpening = own === "" && isLooking;
  const corrupted = own || (example ?? text);
  const asked = address.value.query.get("answer");
  const answer = asked !== null && /^\d{1,9}$/.test(asked) ? { answer: Number(asked) } : {};
  const request = { model, clean: text, corrupted, ...answer };
  const { value, failure, isWaiting } = useAnswer<PatchAnswer>(
    "inside/patch",
    isOpening ? undefined : { ...request, places: [] },
  );
  const isSame = corrupted === text;
  return (
    <>
      <p class="about-view">
        The text above is the clean text. Below, change a word of this text: the prediction changes. Then restore one
        activation of the clean text, at one layer and one token. If the prediction becomes the answer again, this
        activation contains the information that leads to the answer.
      </p>
      <TextForm
        label="Corrupted text, same number of tokens"
        text={corrupted}
        isProposed={own === ""}
        failure={failure}
        all={undefined}
        onText={(next) => setText("corrupted", next)}
      />
      {all.left > 0 && <p class="soft about">The text must fit the context length: shorten it.</p>}
      {value !== undefined && (
        <div aria-busy={isWaiting}>
          <div class="toolbar">
            <label class="field inline">
              Answer
              <select
                value={value.answer.id}
                onChange={({ currentTarget }) => setQuery({ answer: currentTarget.value })}
              >
                {[value.answer, ...value.clean.top, ...value.corrupted.top]
                  .filter(({ id }, n, list) => list.findIndex((one) => one.id === id) === n)
                  .map(({ id, text: name }) => (
                    <option key={id} value={id}>
                      {visible(name)}
                    </option>
                  ))}
              </select>
            </label>
            <span class="soft num about">
              after the last token: {percent(value.clean.probability)} in the clean text,{" "}
              {percent(value.corrupted.probability)} in the corrupted text
            </span>
          </div>
          {isSame ? (
            <p class="row">
              Both texts are the same: change the corrupted text.
              {example !== undefined && (
                <button type="button" onClick={() => setText("corrupted", example)}>
                  Try “{example}”
                </button>
              )}
            </p>
          ) : (
            <PatchMap request={request} base={value} />
          )}
        </div>
      )}
    </>
  );
};
