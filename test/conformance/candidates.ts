import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/reference/reference.js";

/** A backend under test, or the reason in words why it cannot be tested here. */
export type Candidate =
  | { readonly kind: "present"; readonly name: string; readonly open: () => Promise<Backend> }
  | { readonly kind: "missing"; readonly name: string; readonly reason: string };

export const candidates: readonly Candidate[] = [
  { kind: "present", name: "reference", open: () => openReference() },
];
