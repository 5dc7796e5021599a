import { isRegularFile, replaceFile } from "../../io/files.node.ts";
import { type JsonLines, openJsonLines } from "../../io/jsonl.node.ts";

/** A run's notes, `metrics.jsonl`, while it trains. */
export interface Notes extends JsonLines {
  /** Makes the file again if somebody has deleted it, with all that it had. */
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
