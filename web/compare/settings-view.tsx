/**
 * Shows settings with several seeds. Each run is a dot. Also shows the mean, and the interval of the difference from
 * the first setting.
 */

import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import { labelOf } from "../new-run/labels.ts";
import { capital, loss, some } from "../parts/format.ts";
import { Scroll } from "../parts/scroll.tsx";
import { bestIn, type Measure } from "./differences.ts";
import {
  type ComparedSetting,
  comparedSettings,
  isClear,
  type Place,
  placesOf,
  type SettingDifference,
} from "./settings.ts";

/** Maximum number of fields that fit next to the picture. */
const mostFields = 3;

const nameOf = ({ fields, runs }: ComparedSetting): string =>
  fields.length > 0 && fields.length <= mostFields
    ? fields.map(({ path, value }) => `${labelOf(path) ?? capital(path)} ${value}`).join(", ")
    : (runs[0]?.name ?? "");

const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;

const differenceText = ({ value, halfWidth }: SettingDifference): string =>
  `${signed(value)}${halfWidth === undefined ? "" : ` ± ${halfWidth.toFixed(4)}`}`;

const verdict = (difference: SettingDifference): string => {
  if (difference.halfWidth === undefined) return "unknown (only one seed)";
  if (!isClear(difference)) return "may be chance";
  return difference.value < 0 ? "better" : "worse";
};

const height = 28;

const Picture = ({ setting, place }: { readonly setting: ComparedSetting; readonly place: Place }) => {
  const { runs, mean, difference } = setting;
  const half = difference?.halfWidth;
  const told = `${some(runs.length, "run")} from ${loss(Math.min(...runs.map((run) => run.loss)))} to ${loss(Math.max(...runs.map((run) => run.loss)))}`;
  const x = (value: number): string => `${place(value).toFixed(2)}%`;
  return (
    <svg class="setting-picture" height={height} role="img" aria-label={told}>
      {half !== undefined && (
        <line class="interval" x1={x(mean - half)} x2={x(mean + half)} y1={height / 2} y2={height / 2} />
      )}
      <line class="mean" x1={x(mean)} x2={x(mean)} y1="5" y2={height - 5} />
      {runs.map((run) => (
        <circle key={run.name} cx={x(run.loss)} cy={height / 2} r="3.5">
          <title>{`${run.name}, seed ${run.seed}: ${loss(run.loss)}`}</title>
        </circle>
      ))}
    </svg>
  );
};

/** Renders nothing if no setting has several seeds. */
export const Settings = ({ runs, measure }: { readonly runs: readonly RunSummary[]; readonly measure: Measure }) => {
  const settings = comparedSettings(runs, (best) => bestIn(measure, best).value ?? Number.NaN);
  if (settings.length === 0) return null;
  const place = placesOf(settings);
  const { unit } = bestIn(measure, null);
  const others = settings.flatMap(({ difference }) => difference ?? []);
  const pairs = others.every(({ paired }) => paired)
    ? "Runs with the same seed are paired."
    : "Runs with different seeds are not paired.";
  return (
    <section aria-label="Settings">
      <h2>Settings and seeds</h2>
      <Scroll label="Settings with the losses of their runs">
        <table class="settings">
          <thead>
            <tr>
              <th scope="col">Setting</th>
              <th scope="col" class="num">
                Mean
              </th>
              <th scope="col" class="num">
                Difference from first
              </th>
              <th scope="col">
                <span class="hidden-text">In words</span>
              </th>
              <th scope="col" class="wide">
                Best loss of each run, {unit}
              </th>
            </tr>
          </thead>
          <tbody>
            {settings.map((setting) => (
              <tr key={setting.runs[0]?.name}>
                <th scope="row">{nameOf(setting)}</th>
                <td class="num">{setting.mean.toFixed(4)}</td>
                <td class="num">{setting.difference === undefined ? "" : differenceText(setting.difference)}</td>
                <td>{setting.difference === undefined ? "" : verdict(setting.difference)}</td>
                <td class="wide">
                  <Picture setting={setting} place={place} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <p class="soft">
        Each dot is a run. The vertical line is the mean. The horizontal line is the 95% confidence interval of the
        difference from the first setting. The interval covers the variation between seeds. {pairs}{" "}
        <code>npx foretoken compare</code> also measures the runs on the text. The interval of this command also covers
        the variation between texts.
      </p>
    </section>
  );
};
