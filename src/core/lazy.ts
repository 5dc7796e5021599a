/**
 * Makes a value when it is first needed, and keeps it. Schemas that most programs never check are made this way,
 * because making a schema takes longer than loading its module.
 */
export const lazy = <T extends object>(make: () => T): (() => T) => {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
};
