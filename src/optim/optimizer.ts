import type { Backend, Storage } from "../backend/backend.ts";
import { allocateAll } from "../backend/memory/allocate-all.ts";
import { checkBackend, checkLayout, checkUpdate } from "../core/checks/check-arguments.ts";
import { parseConfig } from "../core/checks/config.ts";
import { plainData } from "../core/checks/plain-data.ts";
import { closeOnError } from "../core/errors/close-on-error.ts";
import { type ArenaLayout, createArena } from "../models/arena.ts";
import { adamUpdate } from "./adam.ts";
import { type OptimizerConfig, optimizerConfigSchema } from "./config.ts";
import { createMuon } from "./muon.ts";
import { type Moments, momentLayouts } from "./state.ts";
import { type HeldRange, heldRanges, lengthOf, type Stretch, stretchesOf } from "./stretches.ts";
import type { Optimizer, OptimizerLayout, Update } from "./update.ts";

/**
 * Creates an optimizer. The moments start at zero.
 * @experimental
 */
export const createOptimizer = (backend: Backend, layout: ArenaLayout, given: OptimizerConfig): Optimizer => {
  checkBackend("createOptimizer: backend", backend);
  checkLayout("createOptimizer: layout", layout);
  const config = parseConfig(optimizerConfigSchema, plainData(given, "optimizer"), "optimizer");
  const layouts = momentLayouts(layout, config);
  const m = createArena(backend, layouts.m);
  const v = closeOnError(
    () => backend.free(m.storage),
    () => createArena(backend, layouts.v),
  );
  const state = [
    { name: "m", layout: layouts.m, arena: m },
    { name: "v", layout: layouts.v, arena: v },
  ] as const;
  const stretches = stretchesOf(layout, config, () => true);
  return { state, ...updating(backend, layout, config, { m: m.storage, v: v.storage }, stretches) };
};

/** Moments for some ranges of the weights, and the offsets of these moments in the full layout. */
export interface PartOfState {
  readonly name: OptimizerLayout["name"];
  readonly layout: ArenaLayout;
  readonly storage: Storage;
  readonly held: readonly HeldRange[];
}

/** An optimizer that updates some of the weights. The optimizer stores only the moments of these weights. */
export interface PartOptimizer extends Omit<Optimizer, "state"> {
  readonly state: readonly PartOfState[];
}

/** Creates an optimizer for ranges of the weights from `stretchesOf`. The moments start at zero. */
export const createPartOptimizer = (
  backend: Backend,
  layout: ArenaLayout,
  config: OptimizerConfig,
  stretches: readonly Stretch[],
): PartOptimizer => {
  const layouts = momentLayouts(layout, config);
  const held = heldRanges(stretches);
  const [m, v] = allocateAll(backend, "float32", [lengthOf(held.m), lengthOf(held.v)]);
  for (const storage of [m, v]) backend.run("fill", { y: { storage, offset: 0 }, n: storage.length, value: 0 });
  const state = [
    { name: "m", layout: layouts.m, storage: m, held: held.m },
    { name: "v", layout: layouts.v, storage: v, held: held.v },
  ] as const;
  return { state, ...updating(backend, layout, config, { m, v }, stretches) };
};

/** Creates an optimizer that owns the given moments. If creation fails, it frees the moments. */
const updating = (
  backend: Backend,
  layout: ArenaLayout,
  config: OptimizerConfig,
  { m, v }: Omit<Moments, "unreal">,
  stretches: readonly Stretch[],
): Omit<Optimizer, "state"> => {
  const flag = closeOnError(
    () => {
      backend.free(v);
      backend.free(m);
    },
    () => backend.alloc("float32", 1),
  );
  const moments: Moments = { m, v, unreal: { storage: flag, offset: 0 } };
  const close = (): void => {
    for (const storage of [flag, v, m]) backend.free(storage);
  };
  const common = {
    isFinite: async () => (await backend.read(flag))[0] === 0,
    forget: () => backend.write(flag, Float32Array.of(0)),
  } as const;
  common.forget();
  const changed = ({ values }: Update): void => {
    values.changes.count++;
  };
  switch (config.kind) {
    case "adam":
    case "adamw":
      return {
        ...common,
        update(update) {
          checkUpdate("update", update);
          const adam = adamUpdate(backend, config, moments, update);
          for (const stretch of stretches) adam(stretch, stretch.from < layout.decayed ? config.weightDecay : 0);
          changed(update);
          update.rounded?.followed();
        },
        close,
      };
    case "muon": {
      const muon = closeOnError(close, () => createMuon(backend, layout, config, moments, stretches));
      return {
        ...common,
        update(update) {
          checkUpdate("update", update);
          muon.update(update);
          changed(update);
          update.rounded?.refresh();
        },
        close() {
          muon.close();
          close();
        },
      };
    }
  }
};
