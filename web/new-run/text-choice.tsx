/** Source of a run's text: pasted or opened text, a file of the texts folder, or a known corpus. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { TextListAnswer } from "../../src/serve/studio/protocol.ts";
import { bytes, count, some } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { openText } from "../parts/opened-text.ts";
import { info, texts } from "../server/facts.ts";
import { corpusChoices } from "./corpora.ts";
import { change, changeText, draft, givenText, isPastedDocuments } from "./draft.ts";
import { BeginWith } from "./settings.tsx";
import { Wrong, wrongAttributes } from "./wrong.tsx";

const documentsIn = (text: string): number => text.split("\n").filter((line) => line.trim() !== "").length;

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
      <textarea
        aria-label="Text"
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
            ? "50,000 characters or more are a good start."
            : isPastedDocuments.value
              ? `${some(documentsIn(text), "document")}: each line is JSON, for example a conversation.`
              : `${count(text.length)} characters${draft.value.textName === "" ? "" : ` from ${draft.value.textName}`}`}
        </span>
      </div>
      {refused.value !== undefined && <Notice tone="bad">{refused.value}</Notice>}
    </div>
  );
};

interface SourceProps {
  readonly title: string;
  readonly about: string;
  readonly isChosen: boolean;
  readonly onChoose: () => void;
}

const Source = ({ title, about, isChosen, onChoose }: SourceProps) => (
  <label class={isChosen ? "source chosen" : "source"}>
    <input type="radio" name="source" checked={isChosen} onChange={onChoose} />
    <b>{title}</b>
    <span class="about soft">{about}</span>
  </label>
);

const Files = ({ path, files }: { readonly path: string; readonly files: TextListAnswer["texts"] }) => (
  <div class="given">
    <label class="field">
      Text of the folder
      <select
        {...wrongAttributes("text")}
        value={path}
        onChange={({ currentTarget }) => change({ file: currentTarget.value })}
      >
        {path === "" && <option value="">Choose…</option>}
        {files.map((file) => (
          <option key={file.path} value={file.path}>
            {`${file.path} (${bytes(file.bytes)})`}
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
  const files = texts.value.value?.texts ?? [];
  // The stored draft may come from a studio that had a folder of texts.
  const kind = draft.value.kind === "file" && folder === null ? "given" : draft.value.kind;
  // With a single file there is nothing to choose.
  const onlyFile = files.length === 1 ? files[0] : undefined;
  useEffect(() => {
    if (kind === "file" && file === "" && onlyFile !== undefined) change({ file: onlyFile.path });
  }, [kind, onlyFile?.path]);
  return (
    <section class="form-part text-part" aria-labelledby="text-head">
      <h2 id="text-head">Text</h2>
      <div class="given">
        <fieldset class="sources">
          <legend class="hidden-text">Source of the text</legend>
          <Source
            title="Your own text"
            about="Pasted, or from a file."
            isChosen={kind === "given"}
            onChoose={() => change({ kind: "given" })}
          />
          {folder !== null && (
            <Source
              title={`From the folder ${folder}`}
              about={texts.value.value === undefined ? "" : `${some(files.length, "text")} in this folder.`}
              isChosen={kind === "file"}
              onChoose={() => change({ kind: "file" })}
            />
          )}
          {corpusChoices(info.value.value?.corpora ?? []).map(({ name, ...words }) => (
            <Source
              key={name}
              {...words}
              isChosen={kind === "corpus" && corpus === name}
              onChoose={() => change({ kind: "corpus", corpus: name })}
            />
          ))}
        </fieldset>
        {kind === "corpus" && <Wrong field="text" />}
      </div>
      {kind === "given" && <Given />}
      {kind === "file" && <Files path={file} files={files} />}
      <BeginWith />
    </section>
  );
};
