import type { Backend } from "../backend/backend.ts";
import { checkBackend, checkLayout, checkUpdate } from "../core/check-arguments.ts";
import { closeOnError } from "../core/close-on-error.ts";
import { parseConfig } from "../core/config.ts";
import { plainData } from "../core/plain-data.ts";
import { type ArenaLayout, createArena } from "../models/arena.ts";
import { adamUpdate } from "./adam.ts";
import { type OptimizerConfig, optimizerConfigSchema } from "./config.ts";
import { createMuon } from "./muon.ts";
import type { Moments, Optimizer } from "./update.ts";

/** Moments start at zero. */
export const createOptimizer = (backend: Backend, layout: ArenaLayout, given: OptimizerConfig): Optimizer => {
  checkBackend("createOptimizer: backend", backend);
  checkLayout("createOptimizer: layout", layout);
  const config = parseConfig(optimizerConfigSchema, plainData(given, "optimizer"), "optimizer");
  const m = createArena(backend, layout);
  const v = closeOnError(
    () => backend.free(m.storage),
    () => createArena(backend, layout),
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
  const health = {
    isFinite: async () => (await backend.read(flag))[0] === 0,
    forget: () => backend.write(flag, Float32Array.of(0)),
  };
  health.forget();
  switch (config.kind) {
    case "adam":
    case "adamw":
      return {
        ...health,
        moments,
        update(update) {
          checkUpdate("update", update);
          const adam = adamUpdate(backend, config, moments, update);
          adam(0, layout.decayed, config.weightDecay);
          adam(layout.decayed, layout.length, 0);
        },
        close,
      };
    case "muon": {
      const muon = closeOnError(close, () => createMuon(backend, layout, config, moments));
      return {
        ...health,
        moments,
        update(update) {
          checkUpdate("update", update);
          muon.update(update);
        },
        close() {
          muon.close();
          close();
        },
      };
    }
  }
};
