/** Tokens nearest to a token, by the angle between their vectors. */
import { useSignal } from "@preact/signals";
import type { NeighboursAnswer, TokensAnswer } from "../../src/serve/studio/inside/protocol.ts";
import { modelName } from "../models/model-names.ts";
import { Notice } from "../parts/notice.tsx";
import { Segmented } from "../parts/segmented.tsx";
import { address, setQuery } from "../shell/address.ts";
import { visible } from "../tokens/surprise.ts";
import { Bars } from "./cells/bars.tsx";
import { areCharacters, neighbourFailure, openingToken } from "./names.ts";
import { SavePicture } from "./picture/save-picture.tsx";
import { useAnswer } from "./state.ts";

const matrices = [
  { value: "embedding", label: "As read" },
  { value: "head", label: "As predicted" },
] as const;

const TokenForm = ({ onToken }: { readonly onToken: (text: string) => void }) => {
  const draft = useSignal("");
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault();
        if (draft.value !== "") onToken(draft.value);
      }}
    >
      <label class="field inline">
        Another token
        <input
          type="text"
          spellcheck={false}
          value={draft.value}
          onInput={({ currentTarget }) => {
            draft.value = currentTarget.value;
          }}
        />
      </label>
      <button type="submit" disabled={draft.value === ""}>
        Find
      </button>
    </form>
  );
};

export const NearestTokens = ({ model, all }: { readonly model: string; readonly all: TokensAnswer }) => {
  const { query } = address.value;
  const own = [...new Map(all.tokens.map((token) => [token.id, token])).values()].slice(0, 200);
  const given = query.get("token");
  // From the address: an id such as "#12", or a text.
  const id = given === null ? openingToken(own)?.id : /^#\d+$/.test(given) ? Number(given.slice(1)) : undefined;
  const of = query.get("of") === "head" && !all.shape.tieEmbeddings ? "head" : "embedding";
  const token = id ?? given ?? "";
  const body = token === "" ? undefined : { model, token, top: 20, of };
  const { value, failure, isWaiting } = useAnswer<NeighboursAnswer>("inside/neighbours", body);
  const bars = (value?.neighbours ?? []).map((one) => ({
    key: one.id,
    name: visible(one.text),
    share: one.cosine,
    text: one.cosine.toFixed(3).replace("-", "−"),
  }));
  return (
    <>
      <p class="about-view">
        A model reads each token as a vector. If the model treats two tokens alike, their vectors are similar. A cosine
        of 1 means that two vectors have the same direction. A cosine of 0 means that they are unrelated.
        {areCharacters(own) &&
          " Here the tokens are single characters. Look for groups: a vowel near other vowels, a full stop near “?” and “!”. If all cosines are similar, the model has learned no group for this token."}
      </p>
      <div class="token-choice">
        <fieldset class="token-buttons">
          <legend class="soft about">Tokens of the text</legend>
          {own.map((one) => (
            <button
              key={one.id}
              type="button"
              class="token-button mono"
              aria-pressed={one.id === value?.token.id}
              onClick={() => setQuery({ token: `#${one.id}` })}
            >
              {visible(one.text)}
            </button>
          ))}
        </fieldset>
        <div class="toolbar">
          <TokenForm onToken={(text) => setQuery({ token: text })} />
          {all.shape.tieEmbeddings ? (
            <span class="soft about">This model uses the same vectors to read and to predict.</span>
          ) : (
            <Segmented
              label="Vectors"
              value={of}
              options={matrices}
              onChange={(next) => setQuery({ of: next === "head" ? "head" : null })}
            />
          )}
        </div>
      </div>
      {failure !== undefined && <Notice tone="bad">{neighbourFailure(failure)}</Notice>}
      {value !== undefined && (
        <div class="neighbours" aria-busy={isWaiting}>
          <Bars
            title={
              <>
                Nearest to <span class="mono">{visible(value.token.text)}</span>{" "}
                <span class="soft">cosine; bars from 0 to 1</span>
              </>
            }
            aside={
              <SavePicture
                name="the neighbours"
                model={modelName(model)}
                picture={() => ({
                  kind: "neighbours",
                  model: modelName(model),
                  token: visible(value.token.text),
                  vectors: of === "head" ? "the vectors that predict tokens" : "the vectors that the model reads",
                  bars,
                })}
              />
            }
            bars={bars}
          />
        </div>
      )}
    </>
  );
};
