/**
 * Colours and sizes of a chart, and the chart's own style sheet. The chart can be light or dark. The chart is readable
 * at widths from 360 to 1,600 pixels.
 */

/**
 * Colours of the runs, for light and dark backgrounds. Together with the dashes, the colours can be distinguished with
 * any kind of colour vision.
 */
const inks: readonly (readonly [light: string, dark: string])[] = [
  ["#0060a8", "#6cb6ff"],
  ["#b84300", "#ff9e6d"],
  ["#00745a", "#4fd1a5"],
  ["#9a3d82", "#e58fd0"],
  ["#6b5b00", "#d9c74a"],
  ["#5a4fcf", "#b3a8ff"],
  ["#a8003b", "#ff8fa3"],
  ["#3d5a66", "#a8c1cc"],
];

/** Dashes of the runs' lines, in the order of their colours. */
const dashes = ["none", "9 4", "2 3", "10 3 2 3", "16 5", "5 2", "12 3 2 3 2 3", "4 6"];

/** Maximum number of runs in one chart. The number of colours and of dashes is the same. */
export const mostRuns = inks.length;

const inked = (of: 0 | 1): string => inks.map((ink, i) => `.fp .ink-${i}{color:${ink[of]}}`).join("\n");

/**
 * Style sheet of a chart. Browsers scale the chart with the page, so text gets larger units where the chart is small.
 * Lines keep their width in pixels.
 */
export const style = `
.fp .paper{fill:#fff}
.fp text{fill:#1a1a1a;font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-size:14px}
.fp .title{font-size:18px;font-weight:600}
.fp .soft{fill:#595959}
.fp .grid{stroke:#e2e2e2;fill:none}
.fp .frame{stroke:#767676;fill:none}
.fp .grid,.fp .frame,.fp .line,.fp .raw,.fp .band,.fp .mark,.fp .lost{vector-effect:non-scaling-stroke}
.fp .line{fill:none;stroke:currentColor;stroke-width:1.75;stroke-linejoin:round}
.fp .averaged{stroke-dasharray:.1 5;stroke-width:2.75;stroke-linecap:round}
.fp .raw{fill:none;stroke:currentColor;stroke-width:1;opacity:.4;stroke-linejoin:round}
.fp .band{fill:currentColor;fill-opacity:.18;stroke:currentColor;stroke-opacity:.3;stroke-width:.75}
.fp .mark{fill:#fff;stroke:currentColor;stroke-width:1.75}
.fp .best,.fp .dot{fill:currentColor}
.fp .lost{fill:none;stroke:currentColor;stroke-width:1.5}
${dashes.map((dash, i) => `.fp .dash-${i}{stroke-dasharray:${dash}}`).join("\n")}
${inked(0)}
@media (prefers-color-scheme:dark){
.fp .paper{fill:#16181d}
.fp text{fill:#f0f0f0}
.fp .soft{fill:#b4b8c0}
.fp .grid{stroke:#33373f}
.fp .frame{stroke:#8b9099}
.fp .mark{fill:#16181d}
.fp .best{fill:currentColor}
${inked(1)}
}
@media (max-width:560px){
.fp text{font-size:22px}
.fp .title{font-size:24px}
}
@media (min-width:1100px){
.fp text{font-size:11px}
.fp .title{font-size:14px}
}
`;
