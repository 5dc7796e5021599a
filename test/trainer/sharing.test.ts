/** Tests what each machine of a team owns, sends and keeps in memory. */
import { describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { modelLayout } from "#foretoken/models/model.js";
import { piecesOfLayout } from "#foretoken/models/pieces.js";
import { createPartOptimizer } from "#foretoken/optim/optimizer.js";
import { stretchesOf } from "#foretoken/optim/stretches.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { bucketsOf, ownersOf } from "#foretoken/trainer/owners.js";
import type { OwnedRange, Team } from "#foretoken/trainer/team.js";
import { createTrainer } from "#foretoken/trainer/trainer.js";
import { compiled, forEachBackend } from "../support/backends.ts";
import { hashedIds } from "../support/models.ts";
import { teamOf } from "../support/teams.ts";

const vocabSize = 65;
/** A few tokens are enough, because sharing depends only on the weights. */
const changes = { model: { contextLength: 16 }, train: { batchSize: 1, gradAccumSteps: 4 } };
const adamw = resolveConfig("book", [changes]);
const muon = resolveConfig("shakespeare", [changes]);
const configs = [
  ["AdamW", adamw],
  ["Muon", muon],
] as const;

const widthOf = ({ from, to }: OwnedRange): number => to - from;

describe.each(configs)("%s", (_, { model, train }) => {
  const layout = modelLayout(model, vocabSize);

  it.each([2, 4, 8])("shares the weights evenly among %i machines", (size) => {
    const owners = ownersOf(layout, train.optimizer, size);
    const loads = new Array<number>(size).fill(0);
    for (const [number, { from, to }] of piecesOfLayout(layout).entries()) {
      const owner = owners[number] ?? Number.NaN;
      loads[owner] = (loads[owner] ?? 0) + to - from;
    }
    // Each matrix of Muon has one owner.
    expect(Math.max(...loads)).toBeLessThanOrEqual(
      ((train.optimizer.kind === "muon" ? 1.35 : 1.15) * layout.length) / size,
    );
  });

  it("gives each matrix that Muon updates to one machine", () => {
    const pieces = piecesOfLayout(layout);
    const owners = ownersOf(layout, train.optimizer, 4);
    for (const parameter of layout.parameters.filter(({ stacked }) => stacked !== undefined)) {
      const { offset, size } = parameter;
      const found = owners.filter((_, i) => {
        const piece = pieces[i];
        return piece !== undefined && piece.from < offset + size && piece.to > offset;
      });
      if (train.optimizer.kind === "muon") expect(new Set(found).size).toBe(1);
      else if (size > 4 * 2 ** 14) expect(new Set(found).size).toBe(4);
    }
  });

  it("has every element in one range of one bucket", () => {
    const ranges = bucketsOf(layout, ownersOf(layout, train.optimizer, 4))
      .flatMap((bucket) => bucket.ranges)
      .sort((one, other) => one.from - other.from);
    let at = 0;
    for (const { from, to } of ranges) {
      expect(from).toBe(at);
      at = to;
    }
    expect(at).toBe(layout.length);
  });
});

forEachBackend(
  "the moments of one of 4 machines",
  ({ open }) => {
    it.each(["AdamW", "Muon"])("are at most 30 %% of all: %s", async (name) => {
      const { model, train } = name === "Muon" ? muon : adamw;
      const layout = modelLayout(model, vocabSize);
      const owners = ownersOf(layout, train.optimizer, 4);
      const backend = await open(1);
      const bytesOf = (isOwn: (number: number) => boolean): number => {
        const stretches = stretchesOf(layout, train.optimizer, (_, number) => isOwn(number));
        const { state } = createPartOptimizer(backend, layout, train.optimizer, stretches);
        return state.reduce((sum, { storage }) => sum + 4 * storage.length, 0);
      };
      const all = bytesOf(() => true);
      const shares = [0, 1, 2, 3].map((rank) => bytesOf((number) => owners[number] === rank));
      expect(shares.reduce((sum, one) => sum + one)).toBe(all);
      for (const share of shares) expect(share).toBeLessThanOrEqual(0.3 * all);
      await backend.close();
    });
  },
  compiled,
);

/** Counts the elements that a rank would send. */
const counted = (member: Team): { readonly team: Team; readonly sent: () => number } => {
  let sent = 0;
  const { rank, size } = member;
  const count = (ranges: readonly OwnedRange[], ways: (owner: number, distance: number) => boolean): void => {
    for (let distance = 1; distance < size; distance *= 2) {
      for (const range of ranges) if (ways(range.owner ^ rank, distance)) sent += widthOf(range);
    }
  };
  return {
    sent: () => sent,
    team: {
      ...member,
      reduceScatter(array, ranges, urgent) {
        count(ranges, (differs, distance) => (differs & (2 * distance - 1)) === distance);
        return member.reduceScatter(array, ranges, urgent);
      },
      allGather(array, ranges) {
        count(ranges, (differs, distance) => (differs & (2 * distance - 1)) === 0);
        return member.allGather(array, ranges);
      },
    },
  };
};

forEachBackend(
  "a step of a team",
  ({ open }) => {
    const shallow = resolveConfig("book", [changes, { model: { nLayer: 2 } }]);
    const step = async (backend: Backend, team: Team): Promise<void> => {
      const trainer = createTrainer(backend, shallow, vocabSize, hashedIds("sharing", 5000, vocabSize), team);
      await trainer.step(0);
      trainer.close();
    };

    it.each([2, 4])("sends at most 1.05 × 2 (N − 1) / N times the gradients on %i machines", async (size) => {
      const backend = await open(1);
      const members = teamOf(size).map(counted);
      await Promise.all(members.map(({ team }) => step(backend, team)));
      const { length } = modelLayout(shallow.model, vocabSize);
      for (const { sent } of members) {
        expect(sent()).toBeGreaterThan((1.8 * (size - 1) * length) / size);
        expect(sent()).toBeLessThanOrEqual((1.05 * 2 * (size - 1) * length) / size);
      }
      expect(backend.bytesInUse()).toBe(0);
      await backend.close();
    });

    it("begins the sums of later layers before the pass has ended", async () => {
      const backend = await open(1);
      const began: string[] = [];
      const watched: Backend = {
        ...backend,
        run(kernel, args) {
          if (kernel === "embeddingBackward") began.push("end of the pass");
          backend.run(kernel, args);
        },
      };
      const members = teamOf(2).map(
        (member): Team => ({
          ...member,
          reduceScatter(array, ranges, urgent) {
            if (member.rank === 0) began.push("sum");
            return member.reduceScatter(array, ranges, urgent);
          },
        }),
      );
      const large = resolveConfig("book", [
        changes,
        // The gradients of this model have more than one bucket.
        { model: { nLayer: 2, nEmbd: 256, nHead: 4 }, train: { gradAccumSteps: 2 } },
      ]);
      const run = async (team: Team, on: Backend): Promise<void> => {
        const trainer = createTrainer(on, large, vocabSize, hashedIds("sharing", 5000, vocabSize), team);
        await trainer.step(0);
        trainer.close();
      };
      const [first, second] = members as [Team, Team];
      await Promise.all([run(first, watched), run(second, backend)]);
      expect(began.indexOf("sum")).toBeGreaterThanOrEqual(0);
      // If the addon cannot access memory directly, the memory is copied after the pass.
      const isShown = backend.view !== undefined;
      expect(began.indexOf("sum") < began.indexOf("end of the pass")).toBe(isShown);
      await backend.close();
    });
  },
  compiled,
);
