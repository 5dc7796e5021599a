/** Choice of one of a few options. All options are in view. If the space is too small, the row of options scrolls. */
import { useEffect, useRef } from "preact/hooks";
import { keepInView } from "./in-row.ts";

export interface Option<T extends string> {
  readonly value: T;
  readonly label: string;
}

export interface SegmentedProps<T extends string> {
  readonly label: string;
  readonly options: readonly Option<T>[];
  readonly value: T;
  readonly onChange: (value: T) => void;
  readonly showLabel?: boolean;
}

let last = 0;
const groupName = (): string => `segmented-${++last}`;
const names = new Map<string, string>();
const nameOf = (label: string): string => {
  const known = names.get(label) ?? groupName();
  names.set(label, known);
  return known;
};

export const Segmented = <T extends string>({
  label,
  options,
  value,
  onChange,
  showLabel = true,
}: SegmentedProps<T>) => {
  const row = useRef<HTMLSpanElement>(null);
  useEffect(() => keepInView(row.current, ".chosen"), [value]);
  return (
    <fieldset class="segmented">
      <legend class={showLabel ? "" : "hidden-text"}>{label}</legend>
      <span class="segments" ref={row}>
        {options.map((option) => (
          <label key={option.value} class={option.value === value ? "segment chosen" : "segment"}>
            <input
              type="radio"
              class="hidden-text"
              name={nameOf(label)}
              checked={option.value === value}
              onChange={() => onChange(option.value)}
            />
            {option.label}
          </label>
        ))}
      </span>
    </fieldset>
  );
};
