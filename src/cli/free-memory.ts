import { freemem } from "node:os";

/** Bytes that the system can give this process now, within the limit of its container where it has one. */
export const freeMemory = (): number =>
  // Node 20 has it from 20.13 on.
  typeof process.availableMemory === "function" ? process.availableMemory() : freemem();
