/** The messages of the starter's page, for errors of the library. */

import { type CheckpointFiles, type GivenDocument, train } from "foretoken/browser";
import { beforeAll, describe, expect, test } from "vitest";
import { messageOf, messageOfUnopened } from "../../templates/page/messages.ts";
import { tinyRun, wordsText } from "../support/runs.ts";

const text = wordsText("messages", 200);
const documents: readonly GivenDocument[] = Array.from({ length: 20 }, (_, i) => ({ text: wordsText(`${i}`, 20) }));
const plan = { backend: "reference", preset: "book", config: tinyRun, finalSampleTokens: 0 } as const;

const filesOf = async (data: Pick<Parameters<typeof train>[0], "text" | "documents">): Promise<CheckpointFiles> => {
  let last: CheckpointFiles | undefined;
  const onCheckpoint = (files: CheckpointFiles, which: "best" | "last"): void => {
    if (which === "last") last = files;
  };
  for await (const _ of train({ ...plan, ...data, stopAt: 1, onCheckpoint }));
  if (last === undefined) throw new Error("no checkpoint");
  return last;
};

const errorOf = (options: Parameters<typeof train>[0]): Promise<unknown> =>
  train({ backend: "reference", ...options })
    .next()
    .then(
      () => new Error("no error"),
      (error: unknown) => error,
    );

let ofText: CheckpointFiles;
let ofDocuments: CheckpointFiles;
beforeAll(async () => {
  ofText = await filesOf({ text });
  ofDocuments = await filesOf({ documents });
});

describe("a run that goes on", () => {
  test("with another text", async () => {
    const error = await errorOf({ text: `${text}.`, resume: ofText });
    expect(messageOf(error, text)).toMatchObject({
      title: "The run was trained on another text.",
      putBack: "Put the run's text back",
    });
    expect(messageOfUnopened(error)).toEqual({
      title: "The folder does not contain the text of the run.",
      text: "Put the text of the run into the box, and open the folder again.",
    });
  });

  test.each([{ text }, { documents: documents.slice(1) }])("with other data than its documents", async (data) => {
    const error = await errorOf({ ...data, resume: ofDocuments });
    expect(messageOf(error, text)).toEqual({
      title: "The run was trained on documents.",
      text: "Empty the box and press Resume, or press Train for a new run.",
      putBack: "Empty the box",
    });
    expect(messageOfUnopened(error).title).toBe("The folder does not contain the documents of the run.");
  });

  test("with a damaged file", async () => {
    const error = await errorOf({
      text,
      resume: { ...ofText, "optimizer.safetensors": new Uint8Array(500) },
    });
    const line = /^checkpoint\/optimizer\.safetensors: the file must match its SHA-256/u;
    expect(messageOf(error, text)).toEqual({ title: "This did not work.", text: expect.stringMatching(line) });
    expect(messageOfUnopened(error)).toEqual({
      title: "The folder cannot be opened.",
      text: expect.stringMatching(line),
    });
  });
});

test.each(["", "short"])("the text %j is too short to train on", async (short) => {
  expect(messageOf(await errorOf({ ...plan, text: short }), short).title).toBe("The text is too short.");
});

test("what is no error is shown as it is", () => {
  expect(messageOf("odd", text)).toEqual({ title: "This did not work.", text: "odd" });
});
