/** Input of the text to look at. Errors of the server are shown below the input. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { TokensAnswer } from "../../src/serve/studio/inside/protocol.ts";
import type { Failure } from "../../src/serve/studio/protocol.ts";
import { count } from "../parts/format.ts";
import { mainActionKeys, mainActionTitle, onMainAction } from "../parts/main-action.ts";
import { Notice } from "../parts/notice.tsx";
import { visible } from "../tokens/surprise.ts";
import { without } from "./texts.ts";

export interface TextFormProps {
  readonly label: string;
  readonly text: string;
  /**
   * The user's own text, if `text` is a proposal of the page. Another proposal for the same own text must not replace
   * anything that the user typed. Default: `text`.
   */
  readonly own?: string;
  readonly placeholder?: string;
  readonly failure: Failure | undefined;
  readonly all: TokensAnswer | undefined;
  /** Whether the next model is loading. `all` then still belongs to the previous model. */
  readonly isOfBefore?: boolean;
  readonly onText: (text: string) => void;
}

/** Approximate number of lines of a text, for browsers that do not fit the field to its text. */
const linesOf = (text: string): number =>
  Math.min(
    8,
    text.split("\n").reduce((sum, line) => sum + 1 + Math.floor(line.length / 60), 0),
  );

export const TextForm = (props: TextFormProps) => {
  const { label, text, own = text, placeholder, failure, all, isOfBefore = false, onText } = props;
  const draft = useSignal(text);
  const before = useRef({ text, own });
  useEffect(() => {
    if (own !== before.current.own || draft.value === before.current.text) draft.value = text;
    before.current = { text, own };
  }, [text, own]);
  const { characters } = failure ?? {};
  const look = () => {
    if (draft.value !== "") onText(draft.value);
  };
  return (
    <form
      class="inside-text"
      onKeyDown={onMainAction(look)}
      onSubmit={(event) => {
        event.preventDefault();
        look();
      }}
    >
      <label class="field">
        {label}
        <textarea
          rows={linesOf(draft.value)}
          spellcheck={false}
          placeholder={placeholder}
          value={draft.value}
          onInput={({ currentTarget }) => {
            draft.value = currentTarget.value;
          }}
        />
      </label>
      <button
        type="submit"
        class="primary"
        disabled={draft.value === "" || draft.value === text}
        title={mainActionTitle}
        aria-keyshortcuts={mainActionKeys}
      >
        Look
      </button>
      {all !== undefined && (
        <p class={`soft num about${isOfBefore ? " of-before" : ""}`}>
          {`${count(all.tokens.length)} of at most ${count(all.shape.contextLength)} tokens`}
          {all.left > 0 && `, the model’s limit; the last ${count(all.left)} tokens are left out`}
        </p>
      )}
      {failure !== undefined && (
        <Notice tone="bad">
          {characters === undefined ? (
            failure.error
          ) : (
            <>
              <p>
                The model never saw {characters.length === 1 ? "this character" : "these characters"} of the text:{" "}
                <span class="mono">{characters.map(visible).join(" ")}</span>
              </p>
              <p>
                <button type="button" onClick={() => onText(without(text, characters))}>
                  Leave {characters.length === 1 ? "it" : "them"} out
                </button>
              </p>
            </>
          )}
        </Notice>
      )}
    </form>
  );
};
