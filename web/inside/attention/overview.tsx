/** Small maps of all heads, from which the reader chooses one. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { AttentionAnswer } from "../../../src/serve/studio/inside/protocol.ts";
import { theme } from "../../shell/theme.ts";
import { rem, reveal } from "../cells/reveal.ts";
import { ScrollFrame } from "../cells/scroll-frame.tsx";
import { isShownWhole } from "./opening.ts";
import { mapColors, paintMap, sized } from "./paint.ts";

const side = 48;
/**
 * Maximum number of small maps per row next to the large map. If a layer has more maps, it has several rows of equal
 * length.
 */
const mostInRow = 9;

type OneMap = AttentionAnswer["maps"][number];

const Tile = ({ map, columns }: { readonly map: OneMap; readonly columns: number }) => {
  const canvas = useRef<HTMLCanvasElement>(null);
  const colorsOf = theme.value;
  useEffect(() => {
    if (canvas.current === null) return;
    const context = sized(canvas.current, side, side);
    if (context === undefined) return;
    paintMap(context, { left: 0, top: 0, width: side, height: side }, map.values, columns, mapColors());
  }, [map, colorsOf]);
  return <canvas ref={canvas} />;
};

export interface OverviewProps {
  readonly answer: AttentionAnswer;
  readonly layer: number;
  readonly head: number;
  readonly onChoose: (layer: number, head: number) => void;
}

export const Overview = ({ answer, layer, head, onChoose }: OverviewProps) => {
  const box = useRef<HTMLFieldSetElement>(null);
  const [isWhole, setWhole] = useState(false);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const look = () => {
      const most = Number.parseFloat(getComputedStyle(element).getPropertyValue("--most")) * rem();
      const row = element.querySelector<HTMLElement>(".overview-row")?.offsetHeight ?? 0;
      setWhole(isShownWhole(element.scrollHeight, most, row));
    };
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, [answer]);
  useEffect(() => reveal(box.current, ".tile.chosen"), [answer, layer, head, isWhole]);
  const { nLayer } = answer.shape;
  const { nHead } = answer.shape;
  const inRow = Math.ceil(nHead / Math.ceil(nHead / mostInRow));
  const layers = Array.from({ length: nLayer }, (_, n) => answer.maps.filter((map) => map.layer === n));
  return (
    <ScrollFrame box={box}>
      <fieldset ref={box} class={isWhole ? "overview whole" : "overview"} style={{ "--in-row": String(inRow) }}>
        <legend class="hidden-text">Head</legend>
        {layers.map((maps, n) => (
          <div key={n} class="overview-row">
            <span class="overview-layer soft num">Layer {n + 1}</span>
            <span class="overview-tiles">
              {maps.map((map) => {
                const isChosen = map.layer === layer && map.head === head;
                return (
                  <label key={map.head} class={isChosen ? "tile chosen" : "tile"}>
                    <input
                      type="radio"
                      class="hidden-text"
                      name="inside-head"
                      checked={isChosen}
                      onChange={() => onChoose(map.layer, map.head)}
                    />
                    <span class="hidden-text">Layer {map.layer + 1},</span>
                    <Tile map={map} columns={answer.columns.length} />
                    <span class="tile-name num">
                      <span class="hidden-text">head</span> {map.head + 1}
                    </span>
                  </label>
                );
              })}
            </span>
          </div>
        ))}
      </fieldset>
    </ScrollFrame>
  );
};
