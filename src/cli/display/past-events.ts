import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TrainEvent } from "../../train/events.ts";
import { folderNames } from "../../train/run-folder.node.ts";

/** What the curve of a resumed run begins with: the steps and evaluations that its folder has noted. Best effort. */
export const pastEvents = async (folder: string): Promise<readonly TrainEvent[]> => {
  const text = await readFile(join(folder, folderNames.metrics), "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    try {
      const event = JSON.parse(line) as TrainEvent;
      return event.type === "step" || event.type === "eval" ? [event] : [];
    } catch {
      return [];
    }
  });
};
