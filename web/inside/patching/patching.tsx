/** Activation patching: finds the activations of one text that cause its answer in another text. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { PatchAnswer, PatchPart, PatchReading, PatchRequest } from "../../../src/serve/studio/inside/protocol.ts";
import { modelName } from "../../models/model-names.ts";
import { capital, count, duration, inPercent, loss, percent } from "../../parts/format.ts";
import { NarrowFold } from "../../parts/narrow-fold.tsx";
import { Notice } from "../../parts/notice.tsx";
import { Segmented } from "../../parts/segmented.tsx";
import { address, setQuery } from "../../shell/address.ts";
import { visible } from "../../tokens/surprise.ts";
import { Bars } from "../cells/bars.tsx";
import { Heat, type HeatCell, HeatKey } from "../cells/heat.tsx";
import { clipped } from "../names.ts";
import type { Picture } from "../picture/draw.ts";
import { SavePicture } from "../picture/save-picture.tsx";
import { indexOf, setIndex, setText, textOf, useAnswer } from "../state.ts";
import { TextForm } from "../text-form.tsx";
import type { Viewed } from "../viewed.ts";
import { type Found, type PatchTableProps, usePatches } from "./patches.ts";
import {
  canChangeLoss,
  changedIn,
  columnPlaces,
  mostRestored,
  openingPlaces,
  type Place,
  placeKey,
  placeName,
  restoredBy,
  shownPlace,
} from "./restored.ts";
import { cellWords, movedWords, textsWords } from "./words.ts";

const parts = [
  { value: "residual", label: "Whole stream" },
  { value: "attention", label: "Attention" },
  { value: "mlp", label: "MLP" },
] as const;

/** Which activation a patch copies. */
const partNotes = {
  residual: "The copied state is the whole residual stream after the layer.",
  attention: "The copied state is the output of the attention of the layer.",
  mlp: "The copied state is the output of the MLP of the layer.",
} as const satisfies Readonly<Record<PatchPart, string>>;

/** At which place the answer is restored most. */
const bestWords = (best: Place & { readonly probability: number }, part: PatchPart): string =>
  `${part === "residual" ? "before the last token, the" : "the"} answer is restored most at ${placeName(best)}: ${percent(best.probability)}`;

const partOf = (query: URLSearchParams): PatchPart =>
  parts.find(({ value }) => value === query.get("part"))?.value ?? "residual";

interface ReadingProps {
  readonly title: string;
  readonly reading: PatchReading | undefined;
  readonly answer: number;
  /** Whether the loss of the text is shown. */
  readonly hasLoss?: boolean;
}

const Reading = ({ title, reading, answer, hasLoss = true }: ReadingProps) => (
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
        : `The answer has a probability of ${percent(reading.probability)}${reading.loss === null || !hasLoss ? "." : `. The loss of the text is ${loss(reading.loss)} nats per token.`}`}
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

interface OfferProps {
  readonly base: PatchAnswer;
  /** Estimated seconds for one cell. */
  readonly seconds: number;
  readonly columns: readonly Place[];
  readonly all: readonly Place[];
  readonly onTry: (places: readonly Place[]) => void;
  readonly onByHand: () => void;
}

/** Shown in place of a map that is too slow to fill without a click. */
const Offer = ({ base, seconds, columns, all, onTry, onByHand }: OfferProps) => (
  <div class="patch-offer">
    <p class="num">
      {`The map has ${count(all.length)} cells: ${count(base.shape.nLayer)} layers × ${count(base.tokens.clean.length)} tokens. It takes about ${durationOf(seconds * all.length)}. The columns of the changed token and of the last token contain most of the information. They take about ${durationOf(seconds * columns.length)}.`}
    </p>
    <div class="row">
      <button type="button" class="primary" onClick={() => onTry(columns)}>
        Try these two columns
      </button>
      <button type="button" onClick={() => onTry(all)}>
        Try every cell
      </button>
      <button type="button" onClick={onByHand}>
        Choose a cell by hand
      </button>
    </div>
  </div>
);

/** A duration. A line never breaks inside it. */
const durationOf = (seconds: number): string => duration(seconds).replaceAll(" ", "\u00a0");

const PatchMap = ({ request, base, seconds }: PatchTableProps & { readonly seconds: number }) => {
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
  const isByHand = useSignal(false);
  useEffect(() => {
    isByHand.value = false;
  }, [JSON.stringify(request)]);
  // A map without values would be a large grey area.
  const isOffered = opening.length === 0 && found.size === 0 && !isUnderWay && !isByHand.value;
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
  const labels = [
    "further away",
    `second text, ${percent(base.corrupted.probability)}`,
    `first text, ${percent(base.clean.probability)}`,
  ] as const;
  const none = left.length > 0 ? "not tried" : undefined;
  const picture = (): Picture => ({
    kind: "heat map",
    title: `Activation patching: where the model has the information for “${visible(base.answer.text)}”`,
    model: modelName(request.model),
    texts: [
      { name: "First text", text: request.clean },
      { name: "Second text", text: request.corrupted },
    ],
    corner: "Layer",
    rows: Array.from({ length: nLayer }, (_, n) => String(n + 1)),
    columns: clean.map(({ id, text }, n) => {
      const other = base.tokens.corrupted[n];
      return {
        number: String(n + 1),
        name: visible(text),
        other: other === undefined || other.id === id ? undefined : visible(other.text),
      };
    }),
    values: Array.from({ length: nLayer }, (_, layer) => clean.map((_, position) => cellAt(layer, position).value)),
    framed: best === undefined ? undefined : { row: best.layer, column: best.position },
    colors: "patches",
    scale: { labels, ends: [1, 1], none },
    says: [textsWords(base), ...(part === "residual" ? [movedWords(found, base) ?? ""] : [])].filter(Boolean),
    notes: [
      cellWords(base),
      ...(best === undefined ? [] : [`The framed cell: ${bestWords(best, part)}.`]),
      partNotes[part],
    ],
  });
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
        {!isOffered && (isUnderWay || left.length > 0) && (
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
        {found.size > 0 && <SavePicture name="the patching map" model={modelName(request.model)} picture={picture} />}
      </div>
      {failure !== undefined && <Notice tone="bad">{failure.error}</Notice>}
      {isOffered && (
        <Offer
          base={base}
          seconds={seconds}
          columns={columnPlaces(base.shape, clean.length, changed)}
          all={everywhere}
          onTry={(places) => void ask(places)}
          onByHand={() => {
            isByHand.value = true;
          }}
        />
      )}
      <div class={isOffered ? "" : "map-and-list"}>
        {!isOffered && (
          <div class="heat-column" aria-busy={isUnderWay}>
            <HeatKey label="Probability of the answer with one activation restored" labels={labels} none={none} />
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
        )}
        <div>
          {!isOffered && (
            <p class="row best-patch">
              <span class={best === undefined ? "soft" : "num"}>
                {best !== undefined && <span class="best-dot" aria-hidden="true" />}
                {best === undefined
                  ? "Try every cell to see where the answer is restored most."
                  : `${capital(bestWords(best, part))} (${count(found.size)} cells tried).`}
              </span>
              {best !== undefined && shown !== undefined && placeKey(best) !== placeKey(shown) && (
                <button type="button" class="quiet" onClick={() => setIndex({ layer: best.layer, at: best.position })}>
                  Show it
                </button>
              )}
            </p>
          )}
          <div class="three-readings" aria-live="polite">
            <Reading title="First text" reading={base.clean} answer={base.answer.id} />
            <Reading title="Second text" reading={base.corrupted} answer={base.answer.id} />
            {!isOffered && (
              <Reading
                title={shown === undefined ? "Patched" : `Patched at ${placeName(shown)}`}
                reading={shown === undefined ? undefined : found.get(placeKey(shown))}
                answer={base.answer.id}
                hasLoss={shown !== undefined && canChangeLoss(shown, base)}
              />
            )}
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
          : `Both texts are an example of the page: a part of ${given.includes(text) ? "the text of the other tabs" : "the run’s last sample"}, and the same part with one token changed.`}
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
            : found.asked !== undefined && <PatchMap request={found.asked} base={value} seconds={found.seconds} />}
        </div>
      )}
    </>
  );
};
