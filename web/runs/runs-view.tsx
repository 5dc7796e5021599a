import { signal } from "@preact/signals";
import { useCallback, useEffect } from "preact/hooks";
import { Command } from "../parts/command.tsx";
import { Copy } from "../parts/copy.tsx";
import { count } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { info } from "../server/facts.ts";
import { followRuns, listError, runs, skipped, sweeps } from "../server/run-list.ts";
import { address, compareAddress, setQuery } from "../shell/address.ts";
import { later } from "../shell/later.tsx";
import { defaultSorting, filtered, type Sorting, sorted, tsvOf } from "./columns.tsx";
import { RunsTable } from "./runs-table.tsx";

/** Most folders have no sweeps. */
const SweepsList = later(async () => (await import("../sweep/views.ts")).SweepsList, null);

/** Names of the runs to compare. They are kept while the user looks at a run. */
const chosen = signal<ReadonlySet<string>>(new Set());

const sortingOf = (query: URLSearchParams): Sorting => {
  const sort = query.get("sort");
  if (sort === null) return defaultSorting;
  return { key: sort.replace(/^-/, ""), descending: sort.startsWith("-") };
};

/** Command that trains a run in a terminal. If the command writes the run into this folder, the run appears here. */
const commandFor = (folder: string): string =>
  `npx foretoken train --data notes.txt${/^[\w.-]+$/.test(folder) && folder !== "runs" ? ` --out ${folder}/notes` : ""}`;

const Empty = () => {
  const command = commandFor(info.value.value?.runsFolder ?? "runs");
  return (
    <section class="empty">
      <h1>No runs yet</h1>
      <p>
        A run is one training of a model on a text. Use your own text, or begin with the included Moby-Dick. Within a
        minute or two, a small model learns to spell and then to write words.
      </p>
      <p class="empty-start">
        <a class="button primary" href="/new">
          Start a run
        </a>
      </p>
      <p class="soft">
        Or run this command in a terminal, in the folder that contains the runs folder. The run appears here when it
        begins:
      </p>
      <Command text={command} />
    </section>
  );
};

const Skipped = () =>
  skipped.value.length === 0 ? null : (
    <details class="skipped">
      <summary>
        {count(skipped.value.length)} skipped{" "}
        {skipped.value.length === 1 ? "folder is not a run" : "folders are not runs"}
      </summary>
      <ul>
        {skipped.value.map(({ name, reason }) => (
          <li key={name}>
            <span class="mono">{name}</span>: {reason}
          </li>
        ))}
      </ul>
    </details>
  );

export const RunsView = () => {
  useEffect(followRuns, []);
  const choose = useCallback((name: string, isChosen: boolean) => {
    const next = new Set(chosen.value);
    if (isChosen) next.add(name);
    else next.delete(name);
    chosen.value = next;
  }, []);
  const listed = runs.value;
  const { query } = address.value;
  const filter = query.get("filter") ?? "";
  const sorting = sortingOf(query);
  if (listed === undefined) {
    return listError.value === undefined ? (
      <p class="soft waiting">Reading the runs…</p>
    ) : (
      <Notice tone="bad">{listError.value}</Notice>
    );
  }
  // A sweep may have hundreds of runs, so they are on the sweep's own page.
  const inSweeps = new Set(sweeps.value?.flatMap(({ settings }) => settings.flatMap((one) => one.runs)));
  const all = listed.filter(({ name }) => !name.includes(":") || !inSweeps.has(name));
  if (all.length === 0 && inSweeps.size === 0) {
    return (
      <>
        <Empty />
        <Skipped />
      </>
    );
  }
  const shown = sorted(filtered(all, filter), sorting);
  // The names stay in the order in which the user selected them.
  const comparable = [...chosen.value].filter((name) => all.some((run) => run.name === name));
  return (
    <section>
      <div class="view-head">
        <h1>Runs</h1>
        <a class="button primary" href="/new">
          New run
        </a>
      </div>
      {inSweeps.size > 0 && <SweepsList sweeps={sweeps.value ?? []} runs={listed} />}
      {all.length > 0 && (
        <div class="toolbar runs-toolbar">
          <label class="search">
            <span class="hidden-text">Filter by name, text, preset or state</span>
            <input
              type="search"
              placeholder="Filter by name, text or state"
              value={filter}
              onInput={({ currentTarget: { value } }) => setQuery({ filter: value === "" ? null : value })}
            />
          </label>
          <span class="soft num" role="status">
            {shown.length === all.length
              ? `${count(all.length)} ${all.length === 1 ? "run" : "runs"}`
              : `${count(shown.length)} of ${count(all.length)}`}
          </span>
          <span class="grow" />
          <Copy quiet label="Copy table" text={() => tsvOf(shown)} />
          {comparable.length >= 2 ? (
            <a class="button" href={compareAddress(comparable)}>
              Compare {count(comparable.length)} runs
            </a>
          ) : (
            <span class="button disabled" aria-disabled="true" title="Select at least two runs">
              Compare
            </span>
          )}
        </div>
      )}
      {listError.value !== undefined && <Notice tone="bad">{listError.value}</Notice>}
      {all.length === 0 ? null : shown.length === 0 ? (
        <p class="soft no-match">No run matches the filter.</p>
      ) : (
        <RunsTable
          runs={shown}
          sorting={sorting}
          onSort={({ key, descending }) => setQuery({ sort: `${descending ? "-" : ""}${key}` })}
          chosen={chosen.value}
          onChoose={choose}
        />
      )}
      <Skipped />
    </section>
  );
};
