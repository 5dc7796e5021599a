/** Options of a list of models, with a group for each sweep. */
import type { VNode } from "preact";
import { modelGroups, type Named } from "./model-groups.ts";

interface SweepsLastProps<Model> {
  readonly all: readonly Model[];
  readonly option: (model: Model) => VNode;
}

export const SweepsLast = <Model extends Named>({ all, option }: SweepsLastProps<Model>) => (
  <>
    {modelGroups(all).map(({ label, isSweep, models }) =>
      isSweep ? (
        <optgroup key={label} label={label}>
          {models.map(option)}
        </optgroup>
      ) : (
        models.map(option)
      ),
    )}
  </>
);
