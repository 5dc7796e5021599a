/** Source of a run's text: pasted or opened text, a file of the texts folder, or a known corpus. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { bytes, count } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { openText } from "../parts/opened-text.ts";
import { Segmented } from "../parts/segmented.tsx";
import { info, texts } from "../server/facts.ts";
import { corpusChoices } from "./corpora.ts";
import { change, changeText, draft, givenText } from "./draft.ts";
import { Wrong, wrongAttributes } from "./wrong.tsx";

const Given = () => {
  const refused = useSignal<string | undefined>(undefined);
  const text = givenText.value;
  const open = async (file: File | undefined) => {
    if (file === undefined) return;
    const opened = await openText(file);
    refused.value = "refused" in opened ? opened.refused : undefined;
    if ("refused" in opened) return;
    changeText(opened.text);
    change({ textName: file.name });
  };
  return (
    <div class="given">
      <label class="field">
        Text
        <textarea
          rows={9}
          {...wrongAttributes("text")}
          spellcheck={false}
          placeholder="Paste a text here, or drop a file"
          value={text}
          onInput={({ currentTarget }) => changeText(currentTarget.value)}
          onDragOver={(event) => event.preventDefault()}
          onDrop={(event) => {
            const file = event.dataTransfer?.files[0];
            // Dragged text needs no code, because the browser itself inserts it.
            if (file === undefined) return;
            event.preventDefault();
            void open(file);
          }}
        />
      </label>
      <Wrong field="text" />
      <div class="row">
        <label class="button file">
          Open a file
          <input
            class="hidden-text"
            type="file"
            accept=".txt,.md,.csv,.json,.jsonl,.ts,.js,text/*"
            onChange={({ currentTarget }) => {
              void open(currentTarget.files?.[0]);
              currentTarget.value = "";
            }}
          />
        </label>
        <span class="soft num about">
          {text === ""
            ? "A first model needs about ten thousand characters."
            : `${count(text.length)} characters${draft.value.textName === "" ? "" : ` from ${draft.value.textName}`}`}
        </span>
      </div>
      {refused.value !== undefined && <Notice tone="bad">{refused.value}</Notice>}
    </div>
  );
};

const Choices = ({
  label,
  names,
  value,
  onChange,
}: {
  readonly label: string;
  readonly names: readonly (readonly [string, string])[];
  readonly value: string;
  readonly onChange: (name: string) => void;
}) => (
  <div class="given">
    <label class="field">
      {label}
      <select
        {...wrongAttributes("text")}
        value={value}
        onChange={({ currentTarget }) => onChange(currentTarget.value)}
      >
        {value === "" && <option value="">Choose…</option>}
        {names.map(([name, shown]) => (
          <option key={name} value={name}>
            {shown}
          </option>
        ))}
      </select>
    </label>
    <Wrong field="text" />
  </div>
);

export const TextChoice = () => {
  const folder = info.value.value?.textFolder ?? null;
  useEffect(() => {
    if (folder !== null) void texts.load();
  }, [folder]);
  const { corpus, file } = draft.value;
  const corpora = corpusChoices(info.value.value?.corpora ?? []);
  const files = texts.value.value?.texts ?? [];
  // The stored draft may come from a studio that had a folder of texts.
  const kind = draft.value.kind === "file" && folder === null ? "given" : draft.value.kind;
  const [firstCorpus] = corpora[0] ?? [];
  // With a single file there is nothing to choose.
  const onlyFile = files.length === 1 ? files[0] : undefined;
  useEffect(() => {
    if (kind === "corpus" && corpus === "" && firstCorpus !== undefined) change({ corpus: firstCorpus });
    if (kind === "file" && file === "" && onlyFile !== undefined) change({ file: onlyFile.path });
  }, [kind, firstCorpus, onlyFile?.path]);
  const options = [
    { value: "given", label: "Own text" },
    ...(folder === null ? [] : [{ value: "file", label: `From ${folder}` } as const]),
    { value: "corpus", label: "A classic" },
  ] as const;
  return (
    <section class="form-part" aria-labelledby="text-head">
      <h2 id="text-head">Text</h2>
      <Segmented
        label="Source of the text"
        showLabel={false}
        value={kind}
        options={options}
        onChange={(value) => change({ kind: value })}
      />
      {kind === "given" && <Given />}
      {kind === "corpus" && (
        <Choices label="Classic text" value={corpus} names={corpora} onChange={(name) => change({ corpus: name })} />
      )}
      {kind === "file" && (
        <Choices
          label="Text of the folder"
          value={file}
          names={files.map(({ path, bytes: size }) => [path, `${path} (${bytes(size)})`])}
          onChange={(path) => change({ file: path })}
        />
      )}
      {kind === "file" && texts.value.value?.texts.length === 0 && <p class="soft">The folder has no texts.</p>}
    </section>
  );
};
