/** Exit statuses: all well, our own fault, the user's mistake. `Interrupt` has those of signals. */
export const exitStatus = { success: 0, bug: 1, mistake: 2 } as const;
