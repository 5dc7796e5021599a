import type { Backend } from "../backend/backend.ts";
import { type ArenaLayout, createArena } from "../models/arena.ts";
import { adamUpdate } from "./adam.ts";
import type { OptimizerConfig } from "./config.ts";
import { createMuon } from "./muon.ts";
import type { Moments, Optimizer } from "./update.ts";

/** Moments start at zero. */
export const createOptimizer = (backend: Backend, layout: ArenaLayout, config: OptimizerConfig): Optimizer => {
  const moments: Moments = { m: createArena(backend, layout), v: createArena(backend, layout) };
  const close = (): void => {
    backend.free(moments.m.storage);
    backend.free(moments.v.storage);
  };
  switch (config.kind) {
    case "adam":
    case "adamw":
      return {
        moments,
        update(update) {
          const adam = adamUpdate(backend, config, moments, update);
          adam(0, layout.decayed, config.weightDecay);
          adam(layout.decayed, layout.length, 0);
        },
        close,
      };
    case "muon": {
      const muon = createMuon(backend, layout, config, moments);
      return {
        moments,
        update: muon.update,
        close() {
          muon.close();
          close();
        },
      };
    }
  }
};
