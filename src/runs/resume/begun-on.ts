/**
 * Compares the current backend with the backend on which a run began. Results are guaranteed to have equal bits only on
 * the same backend and instruction set.
 */
import { isRecord } from "../../core/checks/is-record.ts";
import { oneLine, shorten } from "../../core/text/one-line.ts";
import { parseNoted } from "../noted-events.ts";
import type { NotedLines } from "./ended-run.ts";

/** A backend and its instruction set. */
export interface ComputingPlace {
  readonly name: string;
  readonly instructionSet: string;
}

const placeText = ({ name, instructionSet }: ComputingPlace): string =>
  oneLine(shorten(`${name} (${instructionSet})`, 80));

/**
 * A notice for a run that began on another backend than the current backend. Undefined if the backend is the same or is
 * not logged.
 */
export const elsewhereNotice = async (notes: NotedLines, here: ComputingPlace): Promise<string | undefined> => {
  for await (const line of notes) {
    // Every log begins with this event.
    if (!isRecord(line) || line.type !== "start") continue;
    const start = parseNoted(line);
    if (start?.type !== "start") return undefined;
    const begun = { name: start.backend, instructionSet: start.instructionSet };
    if (begun.name === here.name && begun.instructionSet === here.instructionSet) return undefined;
    return `the run began on ${placeText(begun)} and continues on ${placeText(here)}: from here on, the last bits of its results may differ`;
  }
  return undefined;
};
