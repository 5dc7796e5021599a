import type { Backend } from "../backend/backend.ts";
import { checkBackend, checkLayout, checkUpdate } from "../core/check-arguments.ts";
import { closeOnError } from "../core/close-on-error.ts";
import { parseConfig } from "../core/config.ts";
import { plainData } from "../core/plain-data.ts";
import { type ArenaLayout, createArena } from "../models/arena.ts";
import { adamUpdate } from "./adam.ts";
import { type OptimizerConfig, optimizerConfigSchema } from "./config.ts";
import { createMuon } from "./muon.ts";
import { type Moments, momentLayouts } from "./state.ts";
import type { Optimizer, Update } from "./update.ts";

/** An optimizer whose running means start at zero. */
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
  const flag = closeOnError(
    () => {
      backend.free(v.storage);
      backend.free(m.storage);
    },
    () => backend.alloc("float32", 1),
  );
  const moments: Moments = { m, v, unreal: { storage: flag, offset: 0 } };
  const close = (): void => {
    for (const storage of [flag, v.storage, m.storage]) backend.free(storage);
  };
  const common = {
    state: [
      { name: "m", layout: layouts.m, arena: m },
      { name: "v", layout: layouts.v, arena: v },
    ],
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
          adam(0, layout.decayed, config.weightDecay);
          adam(layout.decayed, layout.length, 0);
          changed(update);
          update.rounded?.followed();
        },
        close,
      };
    case "muon": {
      const muon = closeOnError(close, () => createMuon(backend, layout, config, moments));
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
