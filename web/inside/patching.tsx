/** Activations of one text put into another: which of them carry the answer. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { PatchAnswer, PatchPart, PatchReading, PatchRequest } from "../../src/serve/studio/inside/protocol.ts";
import type { Failure } from "../../src/serve/studio/protocol.ts";
import { count, loss, percent } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { Segmented } from "../parts/segmented.tsx";
import { visible } from "../playground/surprise.ts";
import { api, postJson } from "../server/request.ts";
import { address, setQuery } from "../shell/address.ts";
import { Bars } from "./bars.tsx";
import { Cells, ShadeKey, shareClass } from "./cells.tsx";
import { clipped } from "./names.ts";
import { indexOf, setIndex, setText, textOf, useAnswer } from "./state.ts";
import { TextForm } from "./text-form.tsx";
import type { Viewed } from "./viewed.ts";

const parts = [
  { value: "residual", label: "Whole stream" },
  { value: "attention", label: "Attention" },
  { value: "mlp", label: "MLP" },
] as const;

const partOf = (query: URLSearchParams): PatchPart =>
  parts.find(({ value }) => value === query.get("part"))?.value ?? "residual";

/** Places of one request, where all are asked for. */
const atOnce = 16;

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
        ? "Choose a cell of the table."
        : `The answer has ${percent(reading.probability)}${reading.loss === null ? "" : `; loss of the text ${loss(reading.loss)} nats per token`}`}
    </p>
  </div>
);

interface PatchTableProps {
  readonly request: Omit<PatchRequest, "places">;
  readonly base: PatchAnswer;
}

/** Patches that were tried, by their places. */
const usePatches = ({ request, base }: PatchTableProps, part: PatchPart) => {
  const found = useSignal<ReadonlyMap<string, PatchReading>>(new Map());
  const failure = useSignal<Failure | undefined>(undefined);
  const underWay = useSignal(false);
  const abort = useRef<AbortController | null>(null);
  const key = JSON.stringify([request, part]);
  useEffect(() => {
    found.value = new Map();
    failure.value = undefined;
    underWay.value = false;
    return () => abort.current?.abort();
  }, [key]);
  const stop = () => {
    abort.current?.abort();
    underWay.value = false;
  };
  const ask = async (all: readonly { readonly layer: number; readonly position: number }[]) => {
    stop();
    const controller = new AbortController();
    abort.current = controller;
    const { signal } = controller;
    underWay.value = true;
    for (let first = 0; first < all.length && !signal.aborted; first += atOnce) {
      const places = all.slice(first, first + atOnce).map((place) => ({ ...place, part }));
      const body = { ...request, answer: base.answer.id, places };
      const answer = await postJson<PatchAnswer>(`${api}/inside/patch`, body, signal).catch(() => undefined);
      if (signal.aborted || answer === undefined) return;
      if (answer.kind === "failed") {
        failure.value = answer.failure;
        break;
      }
      const next = new Map(found.value);
      for (const [n, { layer, position }] of places.entries()) {
        const reading = answer.value.patched[n];
        if (reading !== undefined) next.set(`${layer} ${position}`, reading);
      }
      found.value = next;
    }
    underWay.value = false;
  };
  return { found: found.value, failure: failure.value, isUnderWay: underWay.value, ask, stop };
};

/** Of several tried places the one with the answer's probability furthest towards the clean text. */
const mostRestored = (found: ReadonlyMap<string, PatchReading>, base: PatchAnswer) => {
  const way = Math.sign(base.clean.probability - base.corrupted.probability);
  if (found.size < 2 || way === 0) return undefined;
  const [best] = [...found].sort(([, a], [, b]) => way * (b.probability - a.probability));
  if (best === undefined) return undefined;
  const [key, { probability }] = best;
  const [layer = 0, position = 0] = key.split(" ").map(Number);
  return { layer, position, probability };
};

const PatchTable = ({ request, base }: PatchTableProps) => {
  const part = partOf(address.value.query);
  const { nLayer } = base.shape;
  const { clean, corrupted } = base.tokens;
  const { found, failure, isUnderWay, ask, stop } = usePatches({ request, base }, part);
  const chosen = { row: indexOf("layer", nLayer), column: indexOf("at", clean.length) };
  const isChosen = address.value.query.has("at");
  const key = `${chosen.row} ${chosen.column}`;
  useEffect(() => {
    if (isChosen && !found.has(key)) void ask([{ layer: chosen.row, position: chosen.column }]);
  }, [key, part, JSON.stringify(request), base.answer.id]);
  const everywhere = Array.from({ length: nLayer * clean.length }, (_, n) => ({
    layer: Math.floor(n / clean.length),
    position: n % clean.length,
  }));
  const isSame = clean.every(({ id }, n) => id === corrupted[n]?.id);
  const changed = clean.findIndex(({ id }, n) => id !== corrupted[n]?.id);
  const best = mostRestored(found, base);
  const names = clean.map((token, n) => {
    const other = corrupted[n];
    const own = clipped(visible(token.text), 8);
    return other === undefined || other.id === token.id
      ? `${n + 1} ${own}`
      : `${n + 1} ${clipped(visible(other.text), 8)}←${own}`;
  });
  return (
    <>
      <div class="toolbar">
        <Segmented
          label="Replace"
          value={part}
          options={parts}
          onChange={(next) => setQuery({ part: next === "residual" ? null : next })}
        />
        <button
          type="button"
          disabled={isSame && !isUnderWay}
          onClick={() =>
            isUnderWay ? stop() : void ask(everywhere.filter((p) => !found.has(`${p.layer} ${p.position}`)))
          }
        >
          {isUnderWay ? "Stop" : "Try every cell"}
        </button>
      </div>
      <p class="soft about">
        A cell is a place: a layer, and a token. Choose one to put the clean text's activation there. The number is the
        probability of the answer then, in percent; the shade is how far that is from the corrupted towards the clean
        text. ← marks tokens that differ.
      </p>
      <ShadeKey label="Part of the way back" />
      {failure !== undefined && <Notice tone="bad">{failure.error}</Notice>}
      <div aria-busy={isUnderWay}>
        <Cells
          label="Places to patch: Enter tries one"
          corner="Layer"
          rows={Array.from({ length: nLayer }, (_, n) => String(n + 1))}
          columns={names}
          look={(layer, position) => {
            const reading = found.get(`${layer} ${position}`);
            const share = reading?.probability;
            const { probability: low } = base.corrupted;
            const way = base.clean.probability - low;
            const restored = share === undefined || way === 0 ? 0 : (share - low) / way;
            return {
              text: share === undefined ? "·" : percent(share).replace(" %", ""),
              before: `Layer ${layer + 1}, token ${position + 1}:`,
              after: share === undefined ? "not tried yet" : "%",
              className: share === undefined ? "" : shareClass(restored),
            };
          }}
          {...(isChosen ? { chosen } : {})}
          {...(changed > 0 ? { firstColumn: changed } : {})}
          onChoose={(layer, at) => setIndex({ layer, at })}
        />
      </div>
      {best !== undefined && (
        <p class="row">
          <span class="num">
            Of {count(found.size)} tried, the answer returns most at layer {best.layer + 1}, token {best.position + 1}:{" "}
            {percent(best.probability)}.
          </span>
          <button type="button" class="quiet" onClick={() => setIndex({ layer: best.layer, at: best.position })}>
            Show it
          </button>
        </p>
      )}
      <div class="three-readings" aria-live="polite">
        <Reading title="Clean" reading={base.clean} answer={base.answer.id} />
        <Reading title="Corrupted" reading={base.corrupted} answer={base.answer.id} />
        <Reading
          title={isChosen ? `Patched at layer ${chosen.row + 1}, token ${chosen.column + 1}` : "Patched"}
          reading={isChosen ? found.get(key) : undefined}
          answer={base.answer.id}
        />
      </div>
    </>
  );
};

export const Patching = ({ model, text, all }: Viewed) => {
  const corrupted = textOf("corrupted") || text;
  const asked = address.value.query.get("answer");
  const answer = asked !== null && /^\d{1,9}$/.test(asked) ? { answer: Number(asked) } : {};
  const request = { model, clean: text, corrupted, ...answer };
  const { value, failure, isWaiting } = useAnswer<PatchAnswer>("inside/patch", { ...request, places: [] });
  const isSame = corrupted === text;
  return (
    <>
      <p class="about-view">
        The text above is the clean one. Change a word of it below, and the prediction changes. Then put single
        activations of the clean text back: where the answer returns, the model carries it.
      </p>
      <TextForm
        label="Corrupted text, of as many tokens"
        text={corrupted}
        failure={failure}
        all={undefined}
        onText={(next) => setText("corrupted", next)}
      />
      {all.left > 0 && <p class="soft about">Patching takes no text beyond the context length: shorten it.</p>}
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
              {percent(value.corrupted.probability)} in the corrupted one
            </span>
          </div>
          {isSame && <p class="soft">Both texts are the same as yet: change the corrupted one.</p>}
          <PatchTable request={request} base={value} />
        </div>
      )}
    </>
  );
};
