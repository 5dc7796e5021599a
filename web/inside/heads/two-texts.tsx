/** Writes a text twice: with all heads, and without some heads. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { HeadPlace } from "../../../src/inside/heads.ts";
import type { WritingEvent } from "../../../src/serve/studio/protocol.ts";
import { Notice } from "../../parts/notice.tsx";
import { readEvents } from "../../server/event-stream.ts";
import { api, failureOf, jsonBody } from "../../server/request.ts";
import { authorization } from "../../shell/token.ts";
import { firstDifference, type Marked } from "./first-difference.ts";

const settings = { maxNewTokens: 80, temperature: 0.8, topK: 40 } as const;

interface Written {
  readonly text: string;
  readonly failure: string | undefined;
}

const nothing: Written = { text: "", failure: undefined };

const write = async (body: object, signal: AbortSignal, onText: (written: Written) => void): Promise<void> => {
  const init = jsonBody(body);
  const headers = { ...init.headers, ...(await authorization()) };
  const response = await fetch(`${api}/generate`, { ...init, headers, signal });
  if (!response.ok || response.body === null) {
    onText({ text: "", failure: (await failureOf(response)).error });
    return;
  }
  let text = "";
  for await (const { data } of readEvents(response.body)) {
    if (data === "" || signal.aborted) continue;
    const event = JSON.parse(data) as WritingEvent;
    if (event.type === "token") text += event.text;
    if (event.type === "failed") onText({ text, failure: event.error });
    else onText({ text, failure: undefined });
  }
};

export interface TwoTextsProps {
  readonly model: string;
  readonly prompt: string;
  readonly headsOff: readonly HeadPlace[];
}

export const TwoTexts = ({ model, prompt, headsOff }: TwoTextsProps) => {
  const texts = useSignal<readonly [Written, Written]>([nothing, nothing]);
  const writing = useSignal(false);
  const seed = useSignal(1);
  const abort = useRef<AbortController | null>(null);
  const key = JSON.stringify([model, prompt, headsOff]);
  useEffect(() => {
    texts.value = [nothing, nothing];
    return () => abort.current?.abort();
  }, [key]);
  const both = async () => {
    abort.current?.abort();
    const controller = new AbortController();
    abort.current = controller;
    const { signal } = controller;
    writing.value = true;
    texts.value = [nothing, nothing];
    const body = { model, prompt, settings: { ...settings, seed: seed.value } };
    const put = (written: Written, at: 0 | 1) => {
      const [first, second] = texts.peek();
      texts.value = at === 0 ? [written, second] : [first, written];
    };
    try {
      await write(body, signal, (written) => put(written, 0));
      await write({ ...body, headsOff }, signal, (written) => put(written, 1));
    } catch {
      if (!signal.aborted) put({ text: "", failure: "The connection was lost." }, 1);
    }
    if (abort.current === controller) writing.value = false;
  };
  const [before, after] = texts.value;
  const isEmpty = [before, after].every((one) => one === nothing) && !writing.value;
  const [first, second] = firstDifference(before.text, after.text, writing.value || after.text === "");
  const column = (title: string, text: Marked, failure: string | undefined) => (
    <section class="column" aria-label={title}>
      <h3>{title}</h3>
      <p class="written written-box" dir="auto">
        <span class="prompt">{prompt}</span>
        {text.before}
        {text.mark !== "" && <mark class="differs">{text.mark}</mark>}
        {text.after}
      </p>
      {failure !== undefined && <Notice tone="bad">{failure}</Notice>}
    </section>
  );
  return (
    <>
      <div class="toolbar">
        <h2>Text written with and without the heads</h2>
        <label class="field inline">
          Seed
          <input
            type="number"
            class="num"
            min={0}
            value={seed.value}
            onInput={({ currentTarget }) => {
              seed.value = Math.max(0, Math.floor(Number(currentTarget.value)) || 0);
            }}
          />
        </label>
        <button type="button" disabled={headsOff.length === 0 || writing.value} onClick={() => void both()}>
          {writing.value ? "Writing…" : "Write both"}
        </button>
        <span class="soft about">
          {headsOff.length === 0
            ? "Switch a head off first."
            : "The text above is the prompt. The first difference is underlined; what follows depends on it."}
        </span>
      </div>
      {!isEmpty && (
        <div class="columns double" aria-busy={writing.value}>
          {column("All heads", first, before.failure)}
          {column("Without the chosen heads", second, after.failure)}
        </div>
      )}
    </>
  );
};
