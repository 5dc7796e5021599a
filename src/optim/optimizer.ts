import type { Backend } from "../backend/backend.ts";
import { type Arena, type ArenaLayout, createArena } from "../models/arena.ts";
import { adamUpdate } from "./adam.ts";
import type { OptimizerConfig } from "./config.ts";
import { createMuon } from "./muon.ts";

/** What one update is made with. */
export interface Update {
  readonly values: Arena;
  readonly gradients: Arena;
  /** 1 for the first update. */
  readonly step: number;
  readonly learningRate: number;
  /** Factor on every gradient, from clipping. */
  readonly gradScale: number;
}

/** Running means of gradients, with the parameters' layout: Adam's, or for Muon's matrices the momentum, in m. */
export interface Moments {
  readonly m: Arena;
  readonly v: Arena;
}

export interface Optimizer {
  readonly moments: Moments;
  /** Changes the values by the gradients. */
  update(update: Update): void;
  close(): void;
}

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
