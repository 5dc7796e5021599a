/** Groups in lists of models: first the models of each run, then the models of each sweep. */

export interface ModelGroup<Model> {
  readonly label: string;
  readonly isSweep: boolean;
  readonly models: readonly Model[];
}

export interface Named {
  readonly name: string;
}

/** Name of a run's sweep, from a name such as "rates:04-seed2". Undefined for another model. */
const sweepOf = (name: string): string | undefined => /^(.+):\d+-seed-?\d+$/u.exec(name)?.[1];

const byName = new Intl.Collator("en", { numeric: true }).compare;

/**
 * Groups in the order of the list, which has the newest runs first. A sweep has many runs, so sweeps come last, with
 * their runs in the order of settings and seeds.
 */
export const modelGroups = <Model extends Named>(all: readonly Model[]): readonly ModelGroup<Model>[] => {
  const groups = new Map<string, ModelGroup<Model>>();
  for (const model of all) {
    const sweep = sweepOf(model.name);
    const label = sweep === undefined ? model.name : `Sweep ${sweep}`;
    const key = `${sweep === undefined} ${label}`;
    const { models = [] } = groups.get(key) ?? {};
    groups.set(key, { label, isSweep: sweep !== undefined, models: [...models, model] });
  }
  const found = [...groups.values()];
  return [
    ...found.filter(({ isSweep }) => !isSweep),
    ...found
      .filter(({ isSweep }) => isSweep)
      .map((group) => ({ ...group, models: group.models.toSorted((a, b) => byName(a.name, b.name)) })),
  ];
};
