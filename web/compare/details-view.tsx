/** Part below the curves of compared runs: settings with several seeds, and differences between configurations. */
import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import { labelOf } from "../new-run/labels.ts";
import { capital } from "../parts/format.ts";
import { Scroll } from "../parts/scroll.tsx";
import { differences, type Measure } from "./differences.ts";
import { Settings } from "./settings-view.tsx";

const Differences = ({ runs }: { readonly runs: readonly RunSummary[] }) => {
  const rows = differences(runs);
  return (
    <section aria-label="Differences">
      <h2>Differences</h2>
      {rows.length === 0 ? (
        <p class="soft">None: the runs have the same text and the same configuration.</p>
      ) : (
        <Scroll label="Differences between the configurations">
          <table class="differences">
            <thead>
              <tr>
                <th scope="col">Field</th>
                {runs.map(({ name }) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(({ path, values }) => (
                <tr key={path}>
                  <th scope="row" title={path}>
                    {labelOf(path) ?? capital(path)}
                  </th>
                  {values.map((value, i) => (
                    <td key={runs[i]?.name} class="mono">
                      {value}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </section>
  );
};

interface DetailsProps {
  readonly runs: readonly RunSummary[];
  readonly measure: Measure;
}

export const Details = ({ runs, measure }: DetailsProps) => (
  <>
    <Settings runs={runs} measure={measure} />
    <Differences runs={runs} />
  </>
);
