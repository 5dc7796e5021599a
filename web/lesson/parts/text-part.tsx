/** Part 1: the text that all parts use. */
import { useSignal } from "@preact/signals";
import { shortText } from "../../../src/lesson/small-model-config.ts";
import { count } from "../../parts/format.ts";
import { onMainAction } from "../../parts/main-action.ts";
import { Notice } from "../../parts/notice.tsx";
import { openText } from "../../parts/opened-text.ts";
import { Segmented } from "../../parts/segmented.tsx";
import { Character } from "../cell.tsx";
import { bounds, type LessonText } from "../chapter/text.ts";
import { addressOf } from "../place.ts";
import { builtInName, choice, chooseText, current, own } from "../state.ts";

/** Main action: opens the next part, if the text is long enough. */
const goOn = (): void => {
  if (current.value.kind === "text") location.hash = addressOf("pairs");
};

const OwnText = () => {
  const refused = useSignal<string | undefined>(undefined);
  const open = async (file: File | undefined) => {
    if (file === undefined) return;
    const opened = await openText(file);
    refused.value = "refused" in opened ? opened.refused : undefined;
    if ("text" in opened) own.value = opened.text;
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys of its field
    <div class="given" onKeyDown={onMainAction(goOn)}>
      <label class="field">
        Your own text
        <textarea
          rows={8}
          spellcheck={false}
          placeholder="Paste a text here, or drop a file"
          value={own.value}
          onInput={({ currentTarget }) => {
            own.value = currentTarget.value;
          }}
          onDragOver={(event) => event.preventDefault()}
          onDrop={(event) => {
            const file = event.dataTransfer?.files[0];
            if (file === undefined) return;
            event.preventDefault();
            void open(file);
          }}
        />
      </label>
      <div class="row">
        <label class="button file">
          Open a file
          <input
            class="hidden-text"
            type="file"
            accept=".txt,.md,text/*"
            onChange={({ currentTarget }) => {
              void open(currentTarget.files?.[0]);
              currentTarget.value = "";
            }}
          />
        </label>
      </div>
      {refused.value !== undefined && <Notice tone="bad">{refused.value}</Notice>}
    </div>
  );
};

/** Maximum number of ids that are shown at once. A Chinese text has thousands of different characters. */
const idsShown = 120;
const beginning = 24;

const Vocabulary = ({ text }: { readonly text: LessonText }) => {
  const { characters, vocabulary } = text;
  const all = vocabulary.characters;
  return (
    <>
      <h2>Characters become numbers</h2>
      <p>
        A model computes with numbers. So each different character gets a number, its <b>id</b>. There are{" "}
        <b class="num">V&nbsp;=&nbsp;{count(all.length)}</b> different characters, the <b>vocabulary</b>. A space is
        shown as ␣, and the end of a line as ↵.
      </p>
      <ul class="vocabulary" aria-label="Characters and their ids">
        {all.slice(0, idsShown).map((character, id) => (
          <li key={character}>
            <Character text={character} /> <span class="num soft">{id}</span>
          </li>
        ))}
        {all.length > idsShown && <li class="soft more">and {count(all.length - idsShown)} more</li>}
      </ul>
      <p>The model reads the text in this form. Each character is shown with its id:</p>
      <ol class="spelled" aria-label="Beginning of the text">
        {characters.slice(0, beginning).map((character, i) => (
          <li key={i}>
            <Character text={character} /> <span class="num">{vocabulary.idOf.get(character)}</span>
          </li>
        ))}
      </ol>
    </>
  );
};

export const TextPart = () => {
  const now = current.value;
  return (
    <>
      <p class="lead">
        A language model learns one thing: how probable each character is as the next character of a text. (Large models
        do the same with pieces of words, called tokens.) This lesson shows how. You choose a text, and a small model
        learns it here while you watch. Every number is computed while you read. The text never leaves this tab.
      </p>
      <Segmented
        label="Text"
        value={choice.value}
        options={[
          { value: "built-in", label: "Built in" },
          { value: "own", label: "My own" },
        ]}
        onChange={chooseText}
      />
      {choice.value === "own" ? <OwnText /> : <p>{builtInName} (Herman Melville, 1851).</p>}
      <div class="text-state">
        {now.kind === "none" ? (
          now.isFailure ? (
            <Notice tone="bad">{now.why}</Notice>
          ) : (
            <p class="soft" role="status">
              {choice.value === "own"
                ? `Paste a page or more. 50,000 characters are a good start; ${count(bounds.least)} are the technical minimum.`
                : now.why}
            </p>
          )
        ) : (
          <p class="num" role="status">
            {count(now.text.characters.length)} characters. The model learns from the first {count(now.text.trained)}.
            The last {count(now.text.characters.length - now.text.trained)} are <b>held out</b>: the model never learns
            from these characters, so they show whether the model has understood the text.
            {now.text.characters.length < shortText &&
              " This is a short text: the model will learn parts of it by heart."}
          </p>
        )}
      </div>
      {now.kind === "text" && <Vocabulary text={now.text} />}
    </>
  );
};
