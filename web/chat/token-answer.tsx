/** Answer shown as tokens. The likeliest tokens at a position appear next to the token under the pointer. */
import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { percent } from "../parts/format.ts";
import { Candidates } from "../tokens/candidates.tsx";
import { form } from "../tokens/legend.tsx";
import { visible } from "../tokens/surprise.ts";
import { TokenText } from "../tokens/token-text.tsx";
import { candidateWords, plainText } from "../tokens/token-words.ts";
import type { WrittenToken } from "../tokens/written-token.ts";
import { piecesInCode } from "./fences.ts";

export interface TokenAnswerProps {
  /** Prefix of the ids of this answer's tokens, unique on the page. */
  readonly name: string;
  readonly tokens: readonly WrittenToken[];
}

/**
 * Places a panel below a token, or above the token if there is too little space below. The panel stays within the box
 * that contains the token and the panel.
 */
const place = (panel: HTMLElement, token: Element): void => {
  const box = panel.parentElement?.getBoundingClientRect();
  if (box === undefined) return;
  const [line] = token.getClientRects();
  const at = line ?? token.getBoundingClientRect();
  const { height, width } = panel.getBoundingClientRect();
  const gap = 6;
  const fitsBelow = at.bottom + gap + height <= window.innerHeight || at.top - gap - height < 0;
  panel.style.top = `${(fitsBelow ? at.bottom + gap : at.top - gap - height) - box.top}px`;
  panel.style.left = `${Math.max(0, Math.min(at.left, box.right - width) - box.left)}px`;
};

/** Alternatives of a token, for screen readers. */
const spokenCandidates = ({ candidates }: WrittenToken): string =>
  candidates.map((one) => `${candidateWords(one) ?? visible(one.text)}, ${percent(one.probability)}`).join("; ");

export const TokenAnswer = ({ name, tokens }: TokenAnswerProps) => {
  const selected = useSignal<number | null>(null);
  const spoken = useSignal("");
  const panel = useRef<HTMLDivElement>(null);
  const first = useRef<HTMLButtonElement>(null);
  const at = selected.value;
  const token = at === null ? undefined : tokens[at];
  useLayoutEffect(() => {
    const shown = at === null ? null : document.getElementById(`${name}-${at}`);
    if (panel.current !== null && shown !== null) place(panel.current, shown);
  });
  return (
    <>
      <TokenText
        name={name}
        label="Tokens of the answer: arrow keys move, Enter shows alternatives"
        tokens={tokens}
        form={form.value}
        selected={selected}
        onOpen={() => {
          spoken.value = token === undefined ? "" : spokenCandidates(token);
        }}
        isPassing
        inCode={piecesInCode(tokens.map(plainText))}
      />
      <span class="hidden-text" role="status">
        {spoken.value}
      </span>
      {token !== undefined && at !== null && (
        <div ref={panel} class="token-panel" aria-hidden="true">
          <Candidates index={at} token={token} candidates={token.candidates} first={first} onChoose={undefined} />
        </div>
      )}
    </>
  );
};
