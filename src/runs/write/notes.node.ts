import { isRegularFile } from "../../core/system/regular-file.node.ts";
import { replaceFile } from "../../io/files.node.ts";
import { type JsonLines, openJsonLines } from "../../io/jsonl.node.ts";

/** The event log of a run, `metrics.jsonl`, while the run trains. */
export interface Notes extends JsonLines {
  /** If the file was deleted, writes it again with its whole content. */
  makeAgain(): Promise<void>;
}

export const openNotes = async (path: string): Promise<Notes> => {
  let lines = await openJsonLines(path);
  return {
    append: (value) => lines.append(value),
    flush: () => lines.flush(),
    contents: () => lines.contents(),
    close: () => lines.close(),
    async makeAgain() {
      if (await isRegularFile(path)) return;
      await replaceFile(path, lines.contents());
      const again = await openJsonLines(path);
      await lines.close();
      lines = again;
    },
  };
};
