import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import { memo } from "../parts/memo.ts";
import { columns, type Sorting } from "./columns.tsx";

export interface RunsTableProps {
  readonly runs: readonly RunSummary[];
  readonly sorting: Sorting;
  readonly onSort: (sorting: Sorting) => void;
  readonly chosen: ReadonlySet<string>;
  readonly onChoose: (name: string, chosen: boolean) => void;
}

interface RowProps {
  readonly run: RunSummary;
  readonly isChosen: boolean;
  readonly onChoose: (name: string, chosen: boolean) => void;
}

/**
 * A row is rendered again only if its run has changed. The table may have hundreds of rows and an update every second.
 */
const Row = memo(({ run, isChosen, onChoose }: RowProps) => (
  <tr class={isChosen ? "chosen" : ""}>
    <td class="choose">
      <input
        type="checkbox"
        checked={isChosen}
        aria-label={`Compare ${run.name}`}
        onChange={({ currentTarget }) => onChoose(run.name, currentTarget.checked)}
      />
    </td>
    {columns.map(({ key, room, numeric, cell }) =>
      key === "name" ? (
        <th key={key} scope="row" class={`room-${room}`}>
          {cell(run)}
        </th>
      ) : (
        <td key={key} class={`room-${room}${numeric ? " num" : ""}`}>
          {cell(run)}
        </td>
      ),
    )}
  </tr>
));

const arrow = (isSorted: boolean, descending: boolean): string => (isSorted ? (descending ? "↓" : "↑") : "");

export const RunsTable = ({ runs, sorting, onSort, chosen, onChoose }: RunsTableProps) => (
  <div class="table-box">
    <table class="runs">
      <thead>
        <tr>
          <td class="choose">
            <span class="hidden-text">Compare</span>
          </td>
          {columns.map(({ key, label, room, numeric, order }) => {
            const isSorted = sorting.key === key;
            return (
              <th
                key={key}
                scope="col"
                class={`room-${room}${numeric ? " num" : ""}`}
                aria-sort={isSorted ? (sorting.descending ? "descending" : "ascending") : undefined}
              >
                {order === undefined ? (
                  label
                ) : (
                  <button
                    type="button"
                    class="sort"
                    onClick={() => onSort({ key, descending: isSorted ? !sorting.descending : key === "updated" })}
                  >
                    {label}
                    <span class="sort-arrow" aria-hidden="true">
                      {arrow(isSorted, sorting.descending)}
                    </span>
                  </button>
                )}
              </th>
            );
          })}
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <Row key={run.name} run={run} isChosen={chosen.has(run.name)} onChoose={onChoose} />
        ))}
      </tbody>
    </table>
  </div>
);
