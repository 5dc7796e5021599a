/** Numeric settings in the address, with names and ranges. */

/** A numeric setting. */
export interface NumberInAddress<Settings> {
  readonly query: string;
  readonly least: number;
  readonly most: number;
  readonly isWhole: boolean;
  readonly of: (settings: Settings) => number;
  readonly put: (settings: Settings, value: number) => Settings;
}

/** Changes of an address; null removes a key. */
export type QueryChanges = Readonly<Record<string, string | null>>;

/** Numbers that differ from the defaults in `usual`. */
export const numbersQuery = <Settings>(
  numbers: readonly NumberInAddress<Settings>[],
  settings: Settings,
  usual: Settings,
): QueryChanges =>
  Object.fromEntries(numbers.map(({ query, of }) => [query, of(settings) === of(usual) ? null : String(of(settings))]));

/** Returns `settings` with the numbers of an address. Values that are not numbers or are out of range are ignored. */
export const withNumbersOf = <Settings>(
  numbers: readonly NumberInAddress<Settings>[],
  query: URLSearchParams,
  settings: Settings,
): Settings =>
  numbers.reduce((before, { query: key, least, most, isWhole, put }) => {
    const given = query.get(key);
    const value = given === null || given.trim() === "" ? Number.NaN : Number(given);
    const isFit = value >= least && value <= most && (!isWhole || Number.isInteger(value));
    return isFit ? put(before, value) : before;
  }, settings);
