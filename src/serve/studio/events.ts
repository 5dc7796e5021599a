/** Event streams about runs. */
import { join } from "node:path";
import { folderNames } from "../../runs/folder-names.ts";
import { merged } from "../http/merge.ts";
import type { ServerEvent } from "../http/sse.ts";
import { followNotes } from "./notes.ts";
import type { RunShelf } from "./runs.ts";

type Events = AsyncGenerator<readonly ServerEvent[], void, undefined>;

/** Yields the whole list at the beginning and after each change. */
export async function* listEvents(shelf: RunShelf, signal: AbortSignal): Events {
  let seen: string | undefined;
  for (;;) {
    const version = await shelf.change(seen, signal);
    if (version === undefined) return;
    seen = version.json;
    yield [{ event: "list", data: version.answer }];
  }
}

/** Yields the logged events of the run at `path`, from byte `after` of the log. */
async function* noteEvents(path: string, after: number, signal: AbortSignal): Events {
  for await (const piece of followNotes(join(path, folderNames.metrics), after, signal)) {
    if (piece.kind === "reset") yield [{ event: "reset", data: {} }];
    else {
      yield piece.events.map(({ event, end }) => ({
        event: "run",
        ...(end === undefined ? {} : { id: String(end) }),
        data: event,
      }));
    }
  }
}

/** Yields the summary of a run at the beginning and after each change. */
async function* summaryEvents(shelf: RunShelf, name: string, signal: AbortSignal): Events {
  let seen: string | undefined;
  let sent: string | undefined;
  for (;;) {
    const version = await shelf.change(seen, signal);
    if (version === undefined) return;
    seen = version.json;
    const summary = version.answer.runs.find((run) => run.name === name);
    const json = summary === undefined ? undefined : JSON.stringify(summary);
    if (json === undefined || json === sent) continue;
    sent = json;
    yield [{ event: "summary", data: summary }];
  }
}

/** Yields the logged events of a run from byte `after` of the log, and the run's summary. */
export async function* runEvents(
  shelf: RunShelf,
  { name, path }: { readonly name: string; readonly path: string },
  after: number,
  signal: AbortSignal,
): Events {
  const notes = (ended: AbortSignal): Events => noteEvents(path, after, ended);
  yield* merged([notes, (ended) => summaryEvents(shelf, name, ended)], signal);
}
