import type { CurveStyle } from "./curve.ts";

/** Short sample of a curve's line, for legends. */
export const Swatch = ({ style: { color, dash, width, marks } }: { readonly style: CurveStyle }) => (
  <svg class="swatch" width="28" height="10" viewBox="0 0 28 10" aria-hidden="true">
    <line
      x1="1"
      y1="5"
      x2="27"
      y2="5"
      stroke={`var(${color})`}
      stroke-width={width}
      stroke-dasharray={dash.join(" ")}
    />
    {marks && <circle cx="14" cy="5" r="3" fill={`var(${color})`} />}
  </svg>
);
