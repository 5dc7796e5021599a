/** The logit lens: what the model would predict if it ended earlier. */
import type { LensPosition, LensReading } from "../../src/inside/lens.ts";
import type { LensAnswer } from "../../src/serve/studio/inside/protocol.ts";
import { count, percent } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { visible } from "../playground/surprise.ts";
import { Bars } from "./bars.tsx";
import { type CellLook, Cells, ShadeKey, shareClass } from "./cells.tsx";
import { lensPage } from "./lens-page.ts";
import { clipped } from "./names.ts";
import { indexOf, setIndex, useAnswer } from "./state.ts";
import type { Viewed } from "./viewed.ts";

const stageName = ({ stage }: LensReading): string =>
  stage.kind === "embedding"
    ? "Embedding"
    : `Layer ${stage.layer + 1} ${stage.kind === "attention" ? "attention" : "MLP"}`;

const lookOf = (position: LensPosition | undefined, stage: number): CellLook => {
  const reading = position?.readings[stage];
  const [top] = reading?.top ?? [];
  if (position === undefined || reading === undefined || top === undefined) return { text: "" };
  const { next } = reading;
  const rank = next === null ? "" : next.rank === 1 ? "✓" : `follows: #${count(next.rank)}`;
  return {
    className: `lens-cell ${shareClass(top.probability)}`,
    after: `${percent(top.probability)}${next === null ? "" : `; next comes ${visible(next.text)}, of rank ${next.rank}`}`,
    text: (
      <>
        <span class="mono">{clipped(visible(top.text))}</span> <span class="lens-rank num">{rank}</span>
      </>
    ),
  };
};

const Detail = ({ position, stage }: { readonly position: LensPosition; readonly stage: number }) => {
  const reading = position.readings[stage];
  if (reading === undefined) return null;
  const { top, next } = reading;
  return (
    <div role="status">
      <Bars
        title={
          <>
            After <span class="mono">{visible(position.token.text)}</span>, at{" "}
            {stageName(reading).toLowerCase().replace("mlp", "MLP")}
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
      {next !== null && (
        <p class="num">
          The text goes on with <span class="mono">{visible(next.text)}</span>: {percent(next.probability)}, rank{" "}
          {count(next.rank)}.
        </p>
      )}
    </div>
  );
};

export const LensTable = ({ model, text, all }: Viewed) => {
  const time = all.tokens.length;
  // What comes after the whole text is asked first, so pages are counted from its end.
  const at = indexOf("at", time, time - 1);
  const { from, to } = lensPage(at, time);
  const { value, failure, isWaiting } = useAnswer<LensAnswer>("inside/lens", { model, text, from, to, top: 8 });
  const positions = value?.positions ?? [];
  const stages = positions[0]?.readings ?? [];
  const row = Math.min(at - from, positions.length - 1);
  const column = indexOf("stage", stages.length, stages.length - 1);
  const shown = positions[row];
  return (
    <>
      <p class="about-view">
        A model adds to its prediction layer by layer. Each cell shows the token that it would predict if it ended
        there. Below it, ✓ says that this token really follows; “follows: #3” says that the one that does is third in
        the model's list there.
      </p>
      {failure !== undefined && <Notice tone="bad">{failure.error}</Notice>}
      <ShadeKey label="Probability of the token in the cell" />
      {to - from < time && (
        <div class="row">
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
      <div aria-busy={isWaiting}>
        {value !== undefined && (
          <Cells
            label="Predictions at each token, from the embedding to the last layer"
            corner="Token"
            rows={positions.map(({ position, token }) => `${position + 1} ${clipped(visible(token.text))}`)}
            columns={stages.map(stageName)}
            look={(r, c) => lookOf(positions[r], c)}
            chosen={{ row, column }}
            onChoose={(r, c) => setIndex({ at: from + r, stage: c })}
          />
        )}
      </div>
      {shown !== undefined && <Detail position={shown} stage={column} />}
    </>
  );
};
