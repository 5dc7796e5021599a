// Draws faults by a seed. The kinds of faults take turns. For a kind, a folder is drawn, with a probability
// proportional to its number of lines. Then a place in this folder is drawn. A candidate is skipped if the list rejects
// it or if it does not compile. A skipped candidate does not change the draws of other faults.
import { kinds, placesIn } from "./places.mjs";
import { snippetOf } from "./sources.mjs";

/** Numbers in [0, 1): mulberry32 (Tommy Ettinger, public domain). */
export const randomFrom = (seed) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
};

/** The folder of a file, with at most two levels: `src/train`, `native/gemm`, `web/chart`. */
const roomOf = (file) => file.split("/").slice(0, -1).slice(0, 2).join("/");

const areaOf = (file) => file.split("/")[0];

/** Key of a fault in the lists of drawn and of rejected faults. */
const keyOf = ({ kind, snippet, becomes }) => JSON.stringify([kind, snippet, becomes]);

/**
 * Folders for one kind of fault. Each folder has its number of lines, and its places.
 * @param {import("./sources.mjs").Sources} sources
 */
const roomsByKind = (sources) => {
  /** @type {Map<string, number>} */
  const lines = new Map();
  for (const [file, text] of sources)
    lines.set(roomOf(file), (lines.get(roomOf(file)) ?? 0) + text.split("\n").length - 1);
  const byKind = new Map(kinds.map((kind) => [kind, new Map()]));
  for (const [file, text] of sources)
    for (const place of placesIn(file, text)) {
      const rooms = byKind.get(place.kind);
      const room = rooms.get(roomOf(file)) ?? { area: areaOf(file), lines: lines.get(roomOf(file)), places: [] };
      rooms.set(roomOf(file), room);
      room.places.push({ file, ...place });
    }
  return byKind;
};

const pick = (random, rooms) => {
  let left = random() * rooms.reduce((sum, room) => sum + room.lines, 0);
  const room =
    rooms.find(({ lines }) => {
      left -= lines;
      return left < 0;
    }) ?? rooms.at(-1);
  return room.places[Math.floor(random() * room.places.length)];
};

/**
 * @param {import("./sources.mjs").Sources} sources
 * @param {object} options
 * @param {number} options.seed
 * @param {number} options.count
 * @param {Readonly<Record<string, number>>} options.least minimum number of faults in an area; if an area has too few
 * faults, the last faults are drawn from this area
 * @param {import("./sources.mjs").Fault[]} options.rejected
 * @param {import("./sources.mjs").Fault[]} [options.accepted] faults of an earlier draw, which compile
 * @param {(file: string, text: string) => Promise<string | undefined>} options.refusal why a changed text does not
 * compile
 * @param {(fault: import("./sources.mjs").Fault & { reason: string }) => void} options.onRefused
 * @returns {Promise<import("./sources.mjs").Fault[]>}
 */
export const drawFaults = async (sources, { seed, count, least, rejected, accepted = [], refusal, onRefused }) => {
  const byKind = roomsByKind(sources);
  const taken = new Set(rejected.map(keyOf));
  const known = new Map(accepted.map((fault) => [keyOf(fault), fault]));
  const faults = [];
  const drawFrom = async (kind, area, slot) => {
    const rooms = [...byKind.get(kind).values()].filter((room) => area === undefined || room.area === area);
    // Each fault has its own random stream, so that a rejected candidate does not change later draws.
    const random = randomFrom(Math.imul(seed, 1_000_003) + slot * 7919);
    for (let tries = 0; tries < 1000; tries++) {
      const place = pick(random, rooms);
      const { file } = place;
      const fault = { id: `f${String(slot + 1).padStart(2, "0")}`, kind, file, ...snippetOf(sources, file, place) };
      if (taken.has(keyOf(fault))) continue;
      taken.add(keyOf(fault));
      const before = known.get(keyOf(fault));
      if (before !== undefined) return { ...before, ...fault };
      const text = sources.get(file);
      const reason = await refusal(file, text.slice(0, place.start) + place.replacement + text.slice(place.end));
      if (reason === undefined) return fault;
      onRefused({ ...fault, reason });
    }
    throw new Error(`${kind}: no place left`);
  };
  const missing = (area) => (least[area] ?? 0) - faults.filter(({ file }) => areaOf(file) === area).length;
  for (let slot = 0; slot < count; slot++) {
    const kind = kinds[slot % kinds.length];
    const left = Array.from({ length: count - slot }, (_, i) => kinds[(slot + i) % kinds.length]);
    // Kinds that still have places in an area with too few faults.
    const short = Object.keys(least).find((area) => {
      const able = left.filter((one) => [...byKind.get(one).values()].some((room) => room.area === area));
      return missing(area) > 0 && able.includes(kind) && able.length <= missing(area);
    });
    faults.push(await drawFrom(kind, short, slot));
  }
  return faults;
};
