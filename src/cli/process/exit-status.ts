/**
 * Exit statuses: success, a bug of ours, a difference or a failed check that a command was to look for, a mistake of the user's, and a run that stopped because its reader went away
 * (128 and the number of SIGPIPE, as shells count). `Interrupt` has the statuses of other signals.
 */
export const exitStatus = { success: 0, bug: 1, different: 1, mistake: 2, readerGone: 141 } as const;
