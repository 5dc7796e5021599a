/** Candidates for a token at a position, with bars of their probabilities. */
import type { ComponentChildren, RefObject } from "preact";
import { useRef } from "preact/hooks";
import type { Candidate } from "../../src/pretrained/model/likeliest.ts";
import { percent } from "../parts/format.ts";
import { placeAfter } from "./arrow-keys.ts";
import { surprisal, visible } from "./surprise.ts";
import type { ShownToken } from "./token-text.tsx";
import { candidateWords, tokenWords } from "./token-words.ts";

export interface CandidatesProps {
  readonly index: number;
  readonly token: ShownToken;
  readonly candidates: readonly Candidate[];
  /** Undefined: candidates cannot be chosen here. */
  readonly onChoose: ((candidate: Candidate) => void) | undefined;
  readonly first: RefObject<HTMLButtonElement | null>;
}

/** Text of a token, or its name as a chip. */
const named = (text: string, words: string | undefined): ComponentChildren =>
  words === undefined ? visible(text) : <span class="token-chip">{words}</span>;

const Bar = ({ share }: { readonly share: number }) => (
  <svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
    <rect class="bar-back" width="100" height="8" />
    <rect class="bar-fill" width={100 * share} height="8" />
  </svg>
);

export const Candidates = ({ index, token, candidates, onChoose, first }: CandidatesProps) => {
  const list = useRef<HTMLUListElement>(null);
  const { probability } = token;
  const isListed = candidates.some(({ id }) => id === token.id);
  const shown: readonly Candidate[] =
    isListed || probability === undefined
      ? candidates
      : [...candidates, { id: token.id, text: token.text, probability, logProb: Math.log(probability) }];
  const move = (event: KeyboardEvent) => {
    const buttons: HTMLElement[] = [...(list.current?.querySelectorAll("button") ?? [])];
    const at = document.activeElement instanceof HTMLElement ? buttons.indexOf(document.activeElement) : -1;
    const next = placeAfter(event.key, at, buttons.length);
    if (next === undefined) return;
    buttons[next]?.focus();
    event.preventDefault();
  };
  return (
    <div class="candidates">
      <p class="candidates-head">
        Token {index + 1} <b class="mono">{named(token.text, tokenWords({ ...token, candidates }))}</b>
        {probability !== undefined && (
          <span class="num soft">
            {percent(probability)}, {surprisal(probability).toFixed(2)} bits
          </span>
        )}
        {token.isChosen && <span class="tag">your choice</span>}
      </p>
      {shown.length === 0 && (
        <p class="soft">{index === 0 ? "Nothing predicts the first token." : "No candidates for this token."}</p>
      )}
      <ul ref={list} onKeyDown={move}>
        {shown.map((candidate, n) => {
          const isOwn = candidate.id === token.id;
          const words = isOwn ? tokenWords({ ...token, candidates }) : candidateWords(candidate);
          const row = (
            <>
              <span class="mono candidate-text">{named(candidate.text, words)}</span>
              <Bar share={candidate.probability} />
              <span class="num candidate-share">{percent(candidate.probability)}</span>
            </>
          );
          return (
            <li key={candidate.id}>
              {onChoose === undefined ? (
                <span class={isOwn ? "candidate taken" : "candidate"}>{row}</span>
              ) : (
                <button
                  ref={n === 0 ? first : null}
                  type="button"
                  class={isOwn ? "candidate taken" : "candidate"}
                  aria-label={`${words ?? visible(candidate.text)}, ${percent(candidate.probability)}: ${isOwn ? "write on from here again" : "write on with this one"}`}
                  onClick={() => onChoose(candidate)}
                >
                  {row}
                </button>
              )}
            </li>
          );
        })}
      </ul>
    </div>
  );
};
