/** Sliders for numbers. */

export interface SliderControl<Name extends string> {
  readonly key: Name;
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly about: string;
}

export interface SlidersProps<Name extends string> {
  readonly controls: readonly SliderControl<Name>[];
  readonly values: Readonly<Record<Name, number>>;
  readonly onChange: (key: Name, value: number) => void;
}

export const Sliders = <Name extends string>({ controls, values, onChange }: SlidersProps<Name>) => (
  <>
    {controls.map(({ key, label, about, ...range }) => (
      <label class="slider" key={key} title={about}>
        <span>{label}</span>
        <input
          type="range"
          {...range}
          value={values[key]}
          onInput={({ currentTarget }) => onChange(key, Number(currentTarget.value))}
        />
        <output class="num">{values[key]}</output>
      </label>
    ))}
  </>
);
