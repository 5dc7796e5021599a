/** The type of a case, the wrong values, and helper functions for the tables of cases. */

export interface Case {
  readonly name: string;
  /** Valid arguments, created for each call. undefined is a placeholder for an option, which is always replaced. */
  readonly args: () => readonly unknown[];
  readonly call: (...args: never[]) => unknown;
  /** The option that is the single argument. */
  readonly option?: string;
  /** Whether the option belongs to an object that may have other options. */
  readonly isOpen?: boolean;
  /**
   * Whether a value may be tried at a place. A value is left out if it is valid at this place and would do more than a
   * test should do.
   */
  readonly allows?: (value: unknown, place: number) => boolean;
}

export const wrongValues: readonly unknown[] = [
  ...[undefined, null, true, 0, -1, 1.5, Number.NaN, 2 ** 60, 10n, Symbol("s"), "", "x", () => {}],
  ...[[], [1], ["a"], [null], {}, { length: 3 }, Object.create(null), new Map(), new Date(0), new Error("e")],
  ...[new Float32Array(2), new Int32Array(2), new Uint8Array(8), Promise.resolve()],
];

export const isDefined = (value: unknown): boolean => value !== undefined;
export const isNumber = (value: unknown): boolean => typeof value === "number";
export const isText = (value: unknown): boolean => typeof value === "string";
export const isPrimitive = (value: unknown): boolean =>
  typeof value !== "object" || value === null || Array.isArray(value);
/** At some places, 2 ** 60 is a valid count. This count would use all memory or never end. */
export const isNotHuge = (value: unknown): boolean => value !== 2 ** 60;

/** The value under the name `name` instead of `option`. */
const mistyped = (option: string, name: string, value: never): WrongOption =>
  ({ [option]: undefined, [name]: value }) as unknown as WrongOption;

/**
 * Wrong values for a member of an object, and for the members of this member. If a value is undefined, the member is
 * left out.
 */
const wrongMembers: readonly unknown[] = [undefined, null, 0, "x", {}, [], [null], [{}], { length: 3 }];
const wrongInside: readonly unknown[] = [undefined, null, [{}]];

const isPlain = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !ArrayBuffer.isView(value) && !(value instanceof Map);

const withMember = (value: object, name: string, member: unknown): object => {
  const copy: object = Array.isArray(value) ? [...value] : { ...value };
  if (member === undefined && !Array.isArray(copy)) Reflect.deleteProperty(copy, name);
  else Reflect.set(copy, name, member);
  return copy;
};

/** Copies of an object with one wrong member, at the first or the second level. The original objects do not change. */
export function* damaged(value: unknown, isInside = false): Generator<readonly [place: string, copy: object]> {
  if (!isPlain(value)) return;
  for (const name of Object.keys(value)) {
    for (const wrong of isInside ? wrongInside : wrongMembers) yield [name, withMember(value, name, wrong)];
    if (isInside) continue;
    for (const [inner, copy] of damaged(Reflect.get(value, name), true)) {
      yield [`${name}.${inner}`, withMember(value, name, copy)];
    }
  }
}

/** One option with a wrong value, which is merged with valid options. */
type WrongOption = Readonly<Record<string, never>>;

/** A case for each of these options. The name of a case is the name of the function and the option. */
export const optionCases = (
  of: string,
  options: readonly string[],
  call: (wrong: WrongOption) => unknown,
  allows: (value: unknown, option: string) => boolean = () => true,
): readonly Case[] =>
  options.map((option) => ({
    name: `${of} ${option}`,
    option,
    args: () => [undefined],
    call: (value: never, name = option) => call(name === option ? { [option]: value } : mistyped(option, name, value)),
    allows: (value) => allows(value, option),
  }));

interface Closable {
  readonly close: () => unknown;
}

/** Calls a function that opens something, and closes the opened object. */
export const openAndClose =
  <Args extends readonly unknown[]>(open: (...args: Args) => Closable | Promise<Closable>) =>
  async (...args: Args): Promise<void> => {
    const opened = await open(...args);
    await opened.close();
  };
