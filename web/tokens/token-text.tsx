/** Text with shades that show the probability of each token. The pointer, a touch or the keys select a single token. */
import type { Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Candidate } from "../../src/pretrained/model/likeliest.ts";
import { percent } from "../parts/format.ts";
import { memo } from "../parts/memo.ts";
import { levelOf, surprisal, visible } from "./surprise.ts";
import { spokenToken, tokenWords } from "./token-words.ts";

export type Form = "shade" | "underline" | "numbers";

export interface ShownToken {
  readonly id: number;
  readonly text: string;
  /** Probability of the token. Undefined for the first token, because nothing predicts it. */
  readonly probability: number | undefined;
  readonly isChosen: boolean;
  /** Whether the token is the end-of-text token that the model drew. */
  readonly isEnd?: boolean | undefined;
  readonly candidates?: readonly Candidate[] | undefined;
}

interface TokenProps {
  readonly token: ShownToken;
  readonly index: number;
  readonly id: string;
  readonly form: Form;
  readonly isSelected: boolean;
  readonly isCode: boolean;
}

const spoken = (token: ShownToken): string =>
  `${spokenToken(token)}${token.probability === undefined ? "" : `, ${percent(token.probability)}`}`;

/** A line break is shown as a sign, and the line still breaks. */
const inLine = (text: string): string => (/^[\n\r]+$/.test(text) ? `↵${text}` : text);

const ownText = (token: ShownToken, isCell: boolean): ComponentChildren => {
  const words = tokenWords(token);
  if (words !== undefined) return <span class="token-chip">{words}</span>;
  return isCell ? <span class="token-cell">{visible(token.text)}</span> : inLine(token.text);
};

const Token = memo(({ token, index, id, form, isSelected, isCode }: TokenProps) => {
  const { text, probability, isChosen } = token;
  const level = probability === undefined ? "none" : String(levelOf(probability));
  const isCell = form === "numbers";
  return (
    <>
      <span
        id={id}
        role="option"
        tabIndex={-1}
        aria-selected={isSelected}
        aria-label={spoken(token)}
        class={`token ${form} level-${level}${isChosen ? " own" : ""}${isCode ? " in-code" : ""}`}
        data-index={index}
      >
        {ownText(token, isCell)}
        {isCell && (
          <span class="token-bits num">{probability === undefined ? "–" : surprisal(probability).toFixed(1)}</span>
        )}
      </span>
      {isCell && text.endsWith("\n") && <br />}
    </>
  );
});

export interface TokenTextProps {
  readonly name: string;
  readonly label: string;
  readonly tokens: readonly ShownToken[];
  readonly form: Form;
  readonly selected: Signal<number | null>;
  /** Called when the user presses Enter on a token. */
  readonly onOpen: () => void;
  /** Whether a selection ends when the pointer or the focus leaves. A clicked token stays selected. Default: false. */
  readonly isPassing?: boolean;
  /** For each token, whether it is part of code in a text of prose. Default: no token is. */
  readonly inCode?: readonly boolean[];
}

const moves: Readonly<Record<string, number>> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -10, ArrowDown: 10 };

export const TokenText = ({
  name,
  label,
  tokens,
  form,
  selected,
  onOpen,
  isPassing = false,
  inCode = [],
}: TokenTextProps) => {
  const box = useRef<HTMLSpanElement>(null);
  const at = selected.value;
  const idOf = (index: number): string => `${name}-${index}`;
  const byKeys = useRef(false);
  /**
   * Whether a click or a key selected the token. The token then stays selected while the pointer crosses other tokens
   * on its way to the candidates.
   */
  const held = useRef(false);
  useEffect(() => {
    if (byKeys.current && at !== null) document.getElementById(idOf(at))?.scrollIntoView({ block: "nearest" });
  }, [at]);
  const indexOf = (event: Event): number | undefined => {
    const token = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-index]") : null;
    return token?.dataset.index === undefined ? undefined : Number(token.dataset.index);
  };
  const point = (event: Event) => {
    const index = indexOf(event);
    byKeys.current = false;
    if (index !== undefined && !(held.current && selected.value !== null)) selected.value = index;
  };
  const choose = (event: Event) => {
    const index = indexOf(event);
    if (index === undefined) return;
    held.current = !(held.current && index === selected.value);
    byKeys.current = false;
    selected.value = index;
  };
  const leave = () => {
    if (!isPassing || held.current) return;
    selected.value = null;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const last = tokens.length - 1;
    if (last < 0) return;
    const now = selected.value ?? 0;
    const by = moves[event.key];
    if (by !== undefined) selected.value = Math.max(0, Math.min(last, selected.value === null ? 0 : now + by));
    else if (event.key === "Home") selected.value = 0;
    else if (event.key === "End") selected.value = last;
    else if (event.key === "Enter") onOpen();
    else if (event.key === "Escape") selected.value = null;
    else return;
    byKeys.current = true;
    held.current = selected.value !== null;
    event.preventDefault();
  };
  return (
    <span
      ref={box}
      class="tokens"
      role="listbox"
      aria-label={label}
      aria-activedescendant={at === null ? undefined : idOf(at)}
      tabIndex={0}
      onKeyDown={onKeyDown}
      onClick={choose}
      onPointerLeave={leave}
      onBlur={() => {
        if (isPassing) held.current = false;
        leave();
      }}
      onPointerOver={(event) => {
        // Touch selects only with a tap, so scrolling over a text selects nothing.
        if (event.pointerType === "mouse") point(event);
      }}
    >
      {tokens.map((token, index) => (
        <Token
          key={index}
          token={token}
          index={index}
          id={idOf(index)}
          form={form}
          isSelected={index === at}
          isCode={inCode[index] === true}
        />
      ))}
    </span>
  );
};
