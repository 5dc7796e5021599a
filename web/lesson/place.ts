/** Parts of the lesson. The address of each part is after the # in the page's address. */
import { signal } from "@preact/signals";

export const parts = [
  { name: "text", label: "Text", title: "Your text" },
  { name: "pairs", label: "Pairs", title: "One text, many examples" },
  { name: "loss", label: "Loss", title: "How wrong a guess is" },
  { name: "training", label: "Training", title: "A model learns your text" },
  { name: "mask", label: "Mask", title: "Why a model must not look ahead" },
  { name: "writing", label: "Writing", title: "One character at a time" },
] as const;

export type PartName = (typeof parts)[number]["name"];
export type Part = (typeof parts)[number];

export const addressOf = (name: PartName): string => `#/${name}`;

/**
 * Part that is named in the address. If the address names no part, for example in a link within the page, the current
 * part stays.
 */
const read = (now: PartName): PartName =>
  location.hash === "" ? "text" : (parts.find(({ name }) => addressOf(name) === location.hash)?.name ?? now);

export const place = signal<PartName>(read("text"));

/** The view also calls this function, because other views change the address without an event. */
export const readPlace = (): void => {
  place.value = read(place.peek());
};

window.addEventListener("hashchange", readPlace);
