/** Attention of all heads: an overview, one head in full, and arcs over the text. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { HeadPlace } from "../../../src/inside/heads.ts";
import type { AttentionAnswer, InsideShape, Span, TokensAnswer } from "../../../src/serve/studio/inside/protocol.ts";
import { modelName } from "../../models/model-names.ts";
import { count, percent } from "../../parts/format.ts";
import { Notice } from "../../parts/notice.tsx";
import { address, setQuery } from "../../shell/address.ts";
import { Bars } from "../cells/bars.tsx";
import { isOne, spanName, spanWords } from "../names.ts";
import { SavePicture } from "../picture/save-picture.tsx";
import { indexOf, setIndex, useAnswer } from "../state.ts";
import type { Viewed } from "../viewed.ts";
import { Arcs } from "./arcs.tsx";
import { arcsWords } from "./arcs-layout.ts";
import { AttentionMap, type Cell } from "./attention-map.tsx";
import { openingHead, openingWords, rowOf, strongestOf } from "./opening.ts";
import { Overview } from "./overview.tsx";

/** Maximum number of cells per side. More cells would be too small to point at. */
const mostCells = 128;
const overviewCells = 28;
/**
 * Limits of the server for one answer: the number of probabilities that it computes, and the number of cells that it
 * sends.
 */
const mostComputed = 2 ** 22;
const mostSent = 2 ** 18;

/** The overview shows the beginning of the text. With the causal mask, later tokens do not change the overview. */
const overviewOf = (all: TokensAnswer): { readonly to: number; readonly cells: number } => {
  const heads = all.shape.nLayer * all.shape.nHead;
  const to = Math.min(all.tokens.length, mostCells, Math.floor(Math.sqrt(mostComputed / heads)));
  return { to: Math.max(1, to), cells: Math.max(1, Math.min(overviewCells, Math.floor(Math.sqrt(mostSent / heads)))) };
};

/** Rows of the map: the range in the address, reduced to the maximum size of a response. */
const rangeOf = (time: number): { readonly from: number; readonly to: number } => {
  const asked = indexOf("to", time, time - 1) + 1;
  const from = Math.min(indexOf("from", time), asked - 1);
  // Maximum `to` at which (to − from) · to is at most `mostComputed`.
  const most = Math.floor((from + Math.sqrt(from * from + 4 * mostComputed)) / 2);
  return { from, to: Math.min(asked, most) };
};

const sizeOf = (span: Span | undefined): number => (span === undefined ? 0 : span.to - span.from);

const Legend = ({ isCausal }: { readonly isCausal: boolean }) => (
  <ul class="map-legend">
    <li>
      <span class="legend-ramp" aria-hidden="true">
        {[0, 0.05, 0.25, 0.5, 1].map((value) => (
          <span key={value} class={`ramp ramp-${value * 100}`} />
        ))}
      </span>
      0, 5, 25, 50, 100&nbsp;% of a row’s attention
    </li>
    {isCausal && (
      <li>
        <span class="legend-masked" aria-hidden="true" /> masked: a token cannot see later tokens
      </li>
    )}
  </ul>
);

/** Tokens that a row attends to, strongest first. */
const Most = ({ answer, row }: { readonly answer: AttentionAnswer; readonly row: number }) => {
  const { tokens, rows, columns, maps } = answer;
  const values = maps[0]?.values[row] ?? [];
  const best = values
    .map((value, column) => ({ value, column }))
    .sort((a, b) => b.value - a.value)
    .slice(0, 8);
  const own = rows[row];
  const nameAt = (span: Span | undefined): string => (span === undefined ? "" : spanName(tokens, span));
  return (
    <Bars
      title={
        <>
          Attention of <span class="mono">{nameAt(own)}</span>
        </>
      }
      bars={best.map(({ value, column }) => ({
        key: column,
        name: nameAt(columns[column]),
        share: value,
        text: percent(value),
      }))}
    />
  );
};

const Range = ({ from, to, time }: { readonly from: number; readonly to: number; readonly time: number }) => {
  const field = (key: string, label: string, value: number) => (
    <label class="field inline">
      {label}
      <input
        type="number"
        class="num"
        min={1}
        max={time}
        value={value}
        onInput={({ currentTarget }) => setQuery({ [key]: currentTarget.value === "" ? null : currentTarget.value })}
      />
    </label>
  );
  return (
    <div class="row">
      {field("from", "Tokens from", from + 1)}
      {field("to", "to", to)}
      {["from", "to"].some((key) => address.value.query.has(key)) && (
        <button type="button" class="quiet" onClick={() => setQuery({ from: null, to: null })}>
          All {count(time)}
        </button>
      )}
    </div>
  );
};

/**
 * The head in the address. If the address names no head, the view waits for the maps of all heads and chooses an
 * interesting head.
 */
const useHead = (shape: InsideShape, maps: AttentionAnswer | undefined): HeadPlace & { readonly isKnown: boolean } => {
  // The head is chosen only once, so that the view shows the same head for another text or checkpoint.
  const opening = useRef<HeadPlace | undefined>(undefined);
  const { query } = address.value;
  const layer = query.has("layer") ? indexOf("layer", shape.nLayer) : undefined;
  if (query.has("head")) return { layer: layer ?? 0, head: indexOf("head", shape.nHead), isKnown: true };
  if (layer !== undefined && opening.current?.layer !== layer) opening.current = undefined;
  if (maps !== undefined) opening.current ??= openingHead(maps, layer);
  const { current } = opening;
  return { layer: current?.layer ?? layer ?? 0, head: current?.head ?? 0, isKnown: current !== undefined };
};

interface AboutHeadProps {
  readonly answer: AttentionAnswer;
  /** Maps of all heads, if the view chose the head among them. */
  readonly among: AttentionAnswer | undefined;
}

/** Says why the view begins with this head, and what its map shows, with the strongest cell of the last row. */
const AboutHead = ({ answer, among }: AboutHeadProps) => {
  const { tokens, rows, columns, maps } = answer;
  const values = maps[0]?.values.at(-1) ?? [];
  const column = strongestOf(values);
  const [own, other] = [rows.at(-1), columns[column]];
  if (own === undefined || other === undefined) return null;
  return (
    <p class="about num">
      {among !== undefined && openingWords(among, maps[0])}
      {`In the last row, ${spanWords(tokens, own)} looks most at ${spanWords(tokens, other)}: ${percent(values[column] ?? 0)} of its attention.`}
    </p>
  );
};

export const AttentionView = ({ model, text, all }: Viewed) => {
  const { shape, tokens } = all;
  const time = tokens.length;
  const { from, to } = rangeOf(time);
  const { to: shownTo, cells } = overviewOf(all);
  const overview = useAnswer<AttentionAnswer>("inside/attention", { model, text, to: shownTo, cells });
  const { layer, head, isKnown } = useHead(shape, overview.value);
  const body = { model, text, layers: [layer], heads: [head], from, to, cells: mostCells };
  const one = useAnswer<AttentionAnswer>("inside/attention", isKnown ? body : undefined);
  /**
   * Cell under the pointer. If undefined, the view shows the cell from the address, or the strongest cell of the last
   * token.
   */
  const pointed = useSignal<Cell | undefined>(undefined);
  // The map appears only after the overview above it. Otherwise the map would jump when the overview arrives.
  const answer = overview.value === undefined ? undefined : one.value;
  useEffect(() => {
    pointed.value = undefined;
  }, [from, to, text, answer?.rows.length]);
  const rows = answer?.rows ?? [];
  const row = Math.min(pointed.value?.row ?? rowOf(rows, indexOf("at", to, to - 1)), Math.max(0, rows.length - 1));
  const cell = { row, column: pointed.value?.column ?? strongestOf(answer?.maps[0]?.values[row] ?? []) };
  // Until the next map arrives, the view shows the map of the previous text, and the field shows the end of that text.
  const isOfBefore = one.isWaiting && !address.value.query.has("to");
  const shownEnd = isOfBefore ? (rows.at(-1)?.to ?? to) : to;
  const isGrouped = rows.some((span) => !isOne(span));
  const failure = overview.failure ?? one.failure;
  return (
    <>
      <p class="about-view">
        To predict the next token, each token looks back at the text. A row of a map shows how one head divides a
        token’s attention among the token itself and earlier tokens. Each row sums to 100&nbsp;%.
      </p>
      {failure !== undefined && <Notice tone="bad">{failure.error}</Notice>}
      <div class="attention-top">
        <section class="overview-box" aria-label="All heads" aria-busy={overview.isWaiting}>
          <h2>All heads</h2>
          {shownTo < time && (
            <p class="soft about">
              {`Small maps show the first ${count(shownTo)} of ${count(time)} tokens.`}
              {shape.isCausal && " Later tokens do not change these maps."}
            </p>
          )}
          {overview.value !== undefined && (
            <Overview
              answer={overview.value}
              layer={layer}
              head={head}
              onChoose={(l, h) => setIndex({ layer: l, head: h })}
            />
          )}
        </section>
        {answer !== undefined && (
          <section aria-label="One head">
            <div class="map-head">
              <Legend isCausal={shape.isCausal} />
              {time > 16 && <Range from={from} to={shownEnd} time={time} />}
            </div>
            <AboutHead answer={answer} among={address.value.query.has("head") ? undefined : overview.value} />
            {isGrouped && (
              <p class="soft about">
                {`${count(to - from)} tokens do not fit on a screen. Each cell covers ${count(sizeOf(answer.rows[0]))} by ${count(sizeOf(answer.rows[0]))} tokens. For each cell, the attention is summed over its columns and averaged over its rows. If you choose at most ${mostCells} tokens, each token has its own row and column. A map has at most 2,048 tokens.`}
              </p>
            )}
            <div class="map-and-list">
              <AttentionMap
                answer={answer}
                cell={cell}
                isWaiting={one.isWaiting}
                save={
                  <SavePicture
                    name="the attention map"
                    model={modelName(model)}
                    picture={() => ({
                      kind: "attention map",
                      model: modelName(model),
                      text,
                      answer,
                      isCausal: shape.isCausal,
                    })}
                  />
                }
                onCell={(next) => {
                  pointed.value = next;
                }}
              />
              <Most answer={answer} row={row} />
            </div>
          </section>
        )}
      </div>
      {answer !== undefined && (
        <>
          <div class="picture-head">
            <h2>Attention as arcs</h2>
            <SavePicture
              name="the arcs"
              model={modelName(model)}
              picture={() => ({ kind: "attention arcs", model: modelName(model), text, answer, row })}
            />
          </div>
          <p class="about num" role="status">
            {arcsWords(answer, answer.maps[0]?.values[row] ?? [], row)}
          </p>
          <p class="soft about">
            Arcs lead from the chosen token to the tokens that it attends to. Wider arcs mean more attention. Attention
            below 2&nbsp;% has no arc. Attention of 10&nbsp;% or more is also shown as a number in percent. Choose
            another token with the arrow keys or a click.
          </p>
          <Arcs
            answer={answer}
            row={row}
            onRow={(next) => {
              pointed.value = undefined;
              setIndex({ at: answer.rows[next]?.from ?? 0 });
            }}
          />
        </>
      )}
    </>
  );
};
