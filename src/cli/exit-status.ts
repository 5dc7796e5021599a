/**
 * Exit statuses: all well, our own fault, the user's mistake, and a run that stopped because nobody reads its output any
 * more: 128 and the number of SIGPIPE, as shells count. `Interrupt` has those of other signals.
 */
export const exitStatus = { success: 0, bug: 1, mistake: 2, readerGone: 141 } as const;
