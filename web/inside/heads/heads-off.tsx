/** Switches heads off, and shows the effect on the loss of the text and on written texts. */
import { useSignal } from "@preact/signals";
import type { HeadPlace } from "../../../src/inside/heads.ts";
import type { TokensAnswer } from "../../../src/serve/studio/inside/protocol.ts";
import type { ScoreAnswer } from "../../../src/serve/studio/protocol.ts";
import { modelName } from "../../models/model-names.ts";
import { count, duration, loss } from "../../parts/format.ts";
import { Notice } from "../../parts/notice.tsx";
import { address, setQuery } from "../../shell/address.ts";
import { Heat, type HeatCell, HeatKey } from "../cells/heat.tsx";
import type { Picture } from "../picture/draw.ts";
import { SavePicture } from "../picture/save-picture.tsx";
import { useAnswer } from "../state.ts";
import type { Viewed } from "../viewed.ts";
import { headKey, useEachHead } from "./each-head.ts";
import { isQuick } from "./quick.ts";
import { ranked } from "./ranked.ts";
import { lossScale } from "./scale.ts";
import { TwoTexts } from "./two-texts.tsx";

const same = (a: HeadPlace, b: HeadPlace): boolean => a.layer === b.layer && a.head === b.head;

/** `?off=1.2,3.1`: head 2 of layer 1, head 1 of layer 3. */
const headsOf = (query: URLSearchParams, { nLayer, nHead }: TokensAnswer["shape"]): readonly HeadPlace[] =>
  (query.get("off") ?? "").split(",").flatMap((part) => {
    const [, layer = 0, head = 0] = (/^(\d+)\.(\d+)$/.exec(part) ?? []).map(Number);
    const isThere = layer >= 1 && head >= 1 && layer <= nLayer && head <= nHead;
    return isThere ? [{ layer: layer - 1, head: head - 1 }] : [];
  });

const setHeads = (heads: readonly HeadPlace[]): void =>
  setQuery({
    off: heads.length === 0 ? null : heads.map(({ layer, head }) => `${layer + 1}.${head + 1}`).join(","),
  });

const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;

const Losses = ({ before, after }: { readonly before: ScoreAnswer; readonly after: ScoreAnswer | undefined }) => (
  <table class="losses num">
    <caption class="hidden-text">Loss of the text with all heads, and without the chosen heads</caption>
    <thead class="losses-head">
      <tr>
        <th scope="col">Loss of the text</th>
        <th scope="col">All heads</th>
        <th scope="col">Without</th>
        <th scope="col">Change</th>
      </tr>
    </thead>
    <tbody>
      {(
        [
          ["nats per token", "natsPerToken"],
          ["bits per byte", "bitsPerByte"],
        ] as const
      ).map(([label, unit]) => (
        <tr key={unit}>
          <th scope="row">{label}</th>
          <td>{loss(before[unit])}</td>
          <td class="loss-without">{after === undefined ? "–" : loss(after[unit])}</td>
          <td>{after === undefined ? "–" : signed(after[unit] - before[unit])}</td>
        </tr>
      ))}
    </tbody>
  </table>
);

/** Link from a head to its attention map, with the same text. */
const HeadLink = ({ layer, head }: HeadPlace) => {
  const query = new URLSearchParams(address.value.query);
  for (const key of ["view", "off"]) query.delete(key);
  query.set("layer", String(layer + 1));
  query.set("head", String(head + 1));
  return (
    <a href={`/inside?${query}`}>
      layer {layer + 1}, head {head + 1}
    </a>
  );
};

/** A duration. A line never breaks inside it. */
const time = (seconds: number): string => duration(seconds).replaceAll(" ", "\u00a0");

const mostRanked = 8;

const Ranking = ({ changes, tokens }: { readonly changes: ReadonlyMap<string, number>; readonly tokens: number }) => {
  const order = ranked(changes);
  return (
    <>
      <h3>Heads with the largest effect</h3>
      <ol class="head-ranking num">
        {order.slice(0, mostRanked).map(({ layer, head, change }) => (
          <li key={`${layer} ${head}`}>
            <span class="head-rank-change">{signed(change)}</span> <HeadLink layer={layer} head={head} />
          </li>
        ))}
      </ol>
      <p class="soft about">
        {`Each number is the change of the loss, in nats per token, when only this head is off. The link shows the head’s attention. The numbers are means over ${count(tokens - 1)} predictions. On another text, the order of heads with similar numbers may be different.`}
      </p>
    </>
  );
};

interface OfferProps {
  readonly heads: number;
  /** Estimated seconds to measure all heads. Undefined: not known yet. */
  readonly seconds: number | undefined;
  readonly onMeasure: () => void;
  readonly onByHand: () => void;
}

/** This text is shown instead of the map while the map has no numbers. */
const Offer = ({ heads, seconds, onMeasure, onByHand }: OfferProps) => (
  <>
    <p class="num">
      {`Which of the ${count(heads)} heads does the model rely on here? For each head, only this head is switched off, and the loss is measured.`}
      {seconds !== undefined && ` This takes about ${time(seconds)}.`}
    </p>
    <div class="row">
      <button type="button" class="primary" onClick={onMeasure}>
        Measure each alone
      </button>
      <button type="button" onClick={onByHand}>
        Choose heads by hand
      </button>
    </div>
  </>
);

export const HeadsOff = ({ model, text, all }: Viewed) => {
  const { shape, tokens } = all;
  const off = headsOf(address.value.query, shape);
  const canScore = tokens.length > 1;
  const before = useAnswer<ScoreAnswer>("score", canScore ? { model, text } : undefined);
  const body = off.length === 0 || !canScore ? undefined : { model, text, headsOff: off };
  const after = useAnswer<ScoreAnswer>("score", body);
  const heads = shape.nLayer * shape.nHead;
  const each = useEachHead({ model, text, shape, atOnce: canScore && isQuick(shape, tokens.length) });
  const failure = before.failure ?? after.failure;
  // While the next answer is loading, the previous answer may be for another text.
  const whole = before.isWaiting ? undefined : before.value?.natsPerToken;
  const changes = new Map(whole === undefined ? [] : [...each.found].map(([key, own]) => [key, own - whole]));
  const scale = lossScale(changes.values());
  const isMeasured = changes.size === heads;
  // Before the first head is measured, the estimate for each head is the time that the loss of the whole text took.
  const secondsLeft = (heads - changes.size) * (each.pace || before.seconds);
  const isByHand = useSignal(false);
  // A map without numbers is useful only for choosing heads.
  const isStarted = each.isUnderWay || each.found.size > 0 || off.length > 0 || isByHand.value;
  const isOffered = canScore && !isStarted && !isQuick(shape, tokens.length);
  const toggle = (place: HeadPlace) =>
    setHeads(off.some((one) => same(one, place)) ? off.filter((one) => !same(one, place)) : [...off, place]);
  const cellAt = (layer: number, head: number): HeatCell => {
    const isOff = off.some((one) => same(one, { layer, head }));
    const change = changes.get(headKey(layer, head));
    return {
      value: change === undefined ? undefined : change / (scale.largest || 1),
      words: `${isOff ? "off" : "on"}${change === undefined ? "" : `; without it alone the loss changes by ${signed(change)}`}`,
      className: isOff ? "head-off" : "",
    };
  };
  const none = isMeasured ? undefined : "not measured";
  const [most] = ranked(changes);
  const picture = (): Picture => ({
    kind: "heat map",
    title: "Change of the loss when one head is switched off",
    model: modelName(model),
    texts: [{ name: "Text", text }],
    corner: "Layer",
    rows: Array.from({ length: shape.nLayer }, (_, n) => String(n + 1)),
    columns: Array.from({ length: shape.nHead }, (_, n) => ({ number: `${n + 1}`, name: "" })),
    values: Array.from({ length: shape.nLayer }, (_, layer) =>
      Array.from({ length: shape.nHead }, (_, head) => cellAt(layer, head).value),
    ),
    framed: most === undefined ? undefined : { row: most.layer, column: most.head },
    colors: "losses",
    scale: { labels: scale.labels, ends: scale.ends, none },
    says:
      whole === undefined || most === undefined
        ? []
        : [
            `With all heads, the loss of the text is ${loss(whole)} nats per token. The largest change: ${signed(most.change)} without head ${most.head + 1} of layer ${most.layer + 1}.`,
          ],
    notes: [
      `Rows are layers, and columns are heads. The numbers are in nats per token, means over ${count(tokens.length - 1)} predictions.`,
    ],
  });
  return (
    <>
      <p class="about-view">
        Heads share the work. A head that is switched off outputs zero. If the loss of the text then rises a lot, the
        model relies on this head here.
      </p>
      {failure !== undefined && <Notice tone="bad">{failure.error}</Notice>}
      <div class="toolbar">
        <h2>Heads</h2>
        {!isOffered && (off.length > 0 || !each.isUnderWay) && (
          <span class="soft num about">
            {off.length === 0 ? "all on" : `${count(off.length)} of ${count(heads)} off`}
          </span>
        )}
        {off.length > 0 && (
          <button type="button" onClick={() => setHeads([])}>
            Switch all on
          </button>
        )}
        {!isMeasured && !isOffered && (
          <button
            type="button"
            class={each.isUnderWay ? "" : "primary"}
            disabled={!canScore}
            onClick={() => (each.isUnderWay ? each.stop() : void each.measure())}
          >
            {each.isUnderWay ? "Stop" : "Measure each alone"}
          </button>
        )}
        {!isMeasured && !isOffered && canScore && whole !== undefined && (
          <span class="soft num about">
            {each.isUnderWay
              ? `${count(changes.size)} of ${count(heads)}, about ${time(secondsLeft)} more`
              : `takes about ${time(secondsLeft)}`}
          </span>
        )}
        {changes.size > 0 && <SavePicture name="the map of heads" model={modelName(model)} picture={picture} />}
      </div>
      {isOffered && (
        <Offer
          heads={heads}
          seconds={whole === undefined ? undefined : secondsLeft}
          onMeasure={() => void each.measure()}
          onByHand={() => {
            isByHand.value = true;
          }}
        />
      )}
      <div class="map-and-list">
        {!isOffered && (
          <div class="heat-column of-losses">
            <HeatKey label="Change of the loss with one head off" labels={scale.labels} ends={scale.ends} none={none} />
            <Heat
              label="Heads: Enter switches a head off or on"
              corner="Layer"
              rows={Array.from({ length: shape.nLayer }, (_, n) => String(n + 1))}
              columns={Array.from({ length: shape.nHead }, (_, n) => (
                <span key={n} class="num">
                  <span class="hidden-text">Head </span>
                  {n + 1}
                </span>
              ))}
              nameOf={(layer, head) => `Layer ${layer + 1}, head ${head + 1}`}
              cell={cellAt}
              hint={`Columns are heads 1 to ${shape.nHead}. Choose a cell to switch its head off.`}
              onChoose={(layer, head) => toggle({ layer, head })}
            />
          </div>
        )}
        <div class="heads-list">
          <div class="losses-box" aria-busy={before.isWaiting || after.isWaiting} aria-live="polite">
            {before.value !== undefined && (
              <Losses before={before.value} after={body === undefined ? undefined : after.value} />
            )}
          </div>
          {!canScore && <p class="soft">A loss needs a text of two tokens or more.</p>}
          {off.length > 0 && (
            <p class="soft about">
              Attention of the heads that are off:{" "}
              {off.map((place, n) => (
                <span key={`${place.layer} ${place.head}`}>
                  {n > 0 && "; "}
                  <HeadLink {...place} />
                </span>
              ))}
            </p>
          )}
          {changes.size > 0 && <Ranking changes={changes} tokens={tokens.length} />}
        </div>
      </div>
      <TwoTexts model={model} prompt={text} headsOff={off} />
    </>
  );
};
