/** Tokens with bars that show their shares. */
import type { ComponentChildren, VNode } from "preact";

export interface Bar {
  readonly key: string | number;
  readonly name: string;
  /** From 0 to 1. */
  readonly share: number;
  readonly text: string;
  readonly isMarked?: boolean;
}

export interface BarsProps {
  readonly title: ComponentChildren;
  readonly bars: readonly Bar[];
  /** Shown next to the title. */
  readonly aside?: VNode;
}

export const Bars = ({ title, bars, aside }: BarsProps) => (
  <section class="bars">
    <div class="picture-head">
      <h3>{title}</h3>
      {aside}
    </div>
    <ul>
      {bars.map(({ key, name, share, text, isMarked = false }) => (
        <li key={key} class={isMarked ? "candidate taken" : "candidate"}>
          <span class="mono candidate-text">{name}</span>
          <svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
            <rect class="bar-back" width="100" height="8" />
            <rect class="bar-fill" width={100 * Math.max(0, Math.min(1, share))} height="8" />
          </svg>
          <span class="num candidate-share">{text}</span>
        </li>
      ))}
    </ul>
  </section>
);
