/** Logit lens: what the model would predict if it ended at an earlier layer. */
import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { LensPosition, LensReading } from "../../../src/inside/lens.ts";
import type { LensAnswer } from "../../../src/serve/studio/inside/protocol.ts";
import { modelName } from "../../models/model-names.ts";
import { capital, count, percent } from "../../parts/format.ts";
import { Notice } from "../../parts/notice.tsx";
import { Segmented } from "../../parts/segmented.tsx";
import { address, setQuery } from "../../shell/address.ts";
import { visible } from "../../tokens/surprise.ts";
import { Bars } from "../cells/bars.tsx";
import { type CellLook, Cells, ShadeKey, shareClass } from "../cells/cells.tsx";
import { rem } from "../cells/reveal.ts";
import { clipped } from "../names.ts";
import type { Picture } from "../picture/draw.ts";
import { SavePicture } from "../picture/save-picture.tsx";
import { indexOf, setIndex, useAnswer } from "../state.ts";
import type { Viewed } from "../viewed.ts";
import { columnsThatFit, lensPage, widestColumn } from "./lens-page.ts";
import { type Ranks, Rise, useRanks } from "./lens-rise.tsx";
import {
  hasShortTokens,
  isShortToken,
  type LensRows,
  leadWords,
  lensRows,
  rowOfStage,
  type ShownRows,
  stageWords,
} from "./lens-rows.ts";

const rowChoices = [
  { value: "layers", label: "Layers" },
  { value: "parts", label: "Attention and MLP" },
] as const satisfies readonly { readonly value: LensRows; readonly label: string }[];

const stageName = (reading: LensReading, rows: LensRows): string =>
  capital(stageWords(reading, rows).replace("the ", ""));

const lookOf = (position: LensPosition | undefined, stage: number): CellLook => {
  const reading = position?.readings[stage];
  const [top] = reading?.top ?? [];
  if (position === undefined || reading === undefined || top === undefined) return { text: "" };
  const { next } = reading;
  const isFinal = top.id === position.readings.at(-1)?.top[0]?.id;
  return {
    className: `lens-cell ${shareClass(top.probability)}${isFinal ? " final" : ""}`,
    after: `${percent(top.probability)}${next === null ? "" : `; next comes ${visible(next.text)}, of rank ${next.rank}`}`,
    text: (
      <>
        <span class="mono">{clipped(visible(top.text))}</span>
        {next?.rank === 1 && <span class="lens-right"> ✓</span>}
      </>
    ),
  };
};

interface DetailProps {
  readonly viewed: Viewed;
  readonly position: LensPosition;
  readonly stage: number;
  readonly shown: ShownRows;
  readonly ranks: Ranks | undefined;
}

/** What the model predicts after a token, and from which row on. Null: there is no prediction. */
const saysOf = ({ readings }: LensPosition, shown: ShownRows) => {
  const final = readings.at(-1)?.top[0];
  return final === undefined
    ? null
    : { name: visible(final.text), share: percent(final.probability), lead: leadWords(readings, shown).join(" ") };
};

const Detail = ({ viewed, position, stage, shown, ranks }: DetailProps) => {
  const reading = position.readings[stage];
  if (reading === undefined) return null;
  const { top, next } = reading;
  const says = saysOf(position, shown);
  return (
    <div class="lens-detail" role="status">
      <div>
        <Bars
          title={
            <>
              After <span class="mono">{visible(position.token.text)}</span>, at{" "}
              {stageWords(reading, shown.rows).replace("the ", "")}
            </>
          }
          bars={top.map(({ id, text, probability }) => ({
            key: id,
            name: visible(text),
            share: probability,
            text: percent(probability),
            isMarked: id === next?.id,
          }))}
        />
        <div class="num about">
          {says !== null && (
            <p>
              The model predicts <span class="mono">{says.name}</span> with {says.share}. {says.lead}
            </p>
          )}
          {next !== null && (
            <p>
              The text continues with <span class="mono">{visible(next.text)}</span>: {percent(next.probability)}, rank{" "}
              {count(next.rank)}.
            </p>
          )}
        </div>
      </div>
      {ranks !== undefined && <Rise ranks={ranks} shape={viewed.all.shape} stage={stage} />}
    </div>
  );
};

/** Width of a box in rem. The value is 0 while the width is not known. */
const useWidth = (box: RefObject<HTMLElement | null>): number => {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    // While the browser lays the page out anew, for example to photograph the whole page, the width may be 0.
    const observer = new ResizeObserver(() => setWidth((before) => element.clientWidth / rem() || before));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return width;
};

export const LensTable = (viewed: Viewed) => {
  const { model, text, all } = viewed;
  const time = all.tokens.length;
  // The view starts with the prediction after the whole text, so pages are counted from the end of the text.
  const at = indexOf("at", time, time - 1);
  // The stages are known before the first answer: the embedding, and attention and MLP of each layer.
  const stageCount = 1 + 2 * all.shape.nLayer;
  const stage = indexOf("stage", stageCount, stageCount - 1);
  const shownRows = lensRows(stageCount, address.value.query.get("rows"), stage);
  const { rows, stages } = shownRows;
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const { from, to } = lensPage(at, time, columnsThatFit(width, rows, all.tokens.every(isShortToken)));
  const body = width === 0 ? undefined : { model, text, from, to, top: 8 };
  const { value, failure, isWaiting } = useAnswer<LensAnswer>("inside/lens", body);
  const positions = value?.positions ?? [];
  const readings = positions[0]?.readings ?? [];
  const column = Math.min(at - from, positions.length - 1);
  const shown = positions[column];
  const isShort = hasShortTokens(positions);
  const { ranks, isWaiting: isRankWaiting } = useRanks(viewed, shown);
  const nameOfRow = (n: number): string => {
    const reading = readings[n];
    return reading === undefined ? "" : stageName(reading, rows);
  };
  const picture = (): Picture => {
    const says = shown === undefined ? null : saysOf(shown, shownRows);
    return {
      kind: "lens",
      model: modelName(model),
      text,
      positions,
      tokens: time,
      rows: stages.map((n) => ({ stage: n, name: nameOfRow(n) })),
      chosen: { column, stage },
      ranks: ranks?.readings,
      vocabSize: all.shape.vocabSize,
      nLayer: all.shape.nLayer,
      says: says === null ? [] : [`The model predicts “${says.name}” with ${says.share}. ${says.lead}`],
    };
  };
  return (
    <>
      <p class="about-view">
        A model builds its prediction layer by layer. A cell shows the next token that the model would predict if this
        layer were its last. ✓ marks the token that really follows.
      </p>
      {failure !== undefined && <Notice tone="bad">{failure.error}</Notice>}
      <div class="toolbar lens-head">
        <Segmented
          label="Rows"
          showLabel={false}
          value={rows}
          options={rowChoices}
          onChange={(next) => setQuery({ rows: next, stage: String(rowOfStage(next, stage) + 1) })}
        />
        <ShadeKey label="Probability in %" own="the final prediction" other="another token" />
        {shown !== undefined && (
          <SavePicture
            name="the lens"
            model={modelName(model)}
            isWaiting={isWaiting || isRankWaiting}
            picture={picture}
          />
        )}
      </div>
      {to - from < time && (
        <div class="row lens-pages">
          <button type="button" disabled={from === 0} onClick={() => setIndex({ at: from - 1 })}>
            ← Earlier
          </button>
          <span class="num">
            Tokens {count(from + 1)} to {count(to)} of {count(time)}
          </span>
          <button type="button" disabled={to === time} onClick={() => setIndex({ at: to })}>
            Later →
          </button>
        </div>
      )}
      <div ref={box} class="map-and-list" aria-busy={isWaiting}>
        {value !== undefined && (
          <Cells
            label="Predictions after each token, from the embedding to the last layer"
            kind={isShort ? "lens-cells short" : "lens-cells"}
            corner="Text"
            rows={stages.map(nameOfRow)}
            columns={positions.map(({ position, token }) => (
              <span key={position} class="lens-name">
                <span class="soft num">{position + 1}</span> <span class="mono">{clipped(visible(token.text))}</span>
              </span>
            ))}
            columnWidth={widestColumn(width, rows, to - from)}
            look={(r, c) => lookOf(positions[c], stages[r] ?? 0)}
            chosen={{ row: stages.indexOf(stage), column }}
            onChoose={(r, c) => setIndex({ at: from + c, stage: stages[r] ?? 0 })}
          />
        )}
        {shown !== undefined && (
          <Detail viewed={viewed} position={shown} stage={stage} shown={shownRows} ranks={ranks} />
        )}
      </div>
    </>
  );
};
