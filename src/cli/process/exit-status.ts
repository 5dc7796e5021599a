/**
 * Exit statuses: success; a bug of the program; a difference or failed check that the command was asked to find; a
 * mistake of the user; training stopped because the reader of its output went away (128 plus the number of SIGPIPE, as
 * in shells). `Interrupt` has the statuses of other signals.
 */
export const exitStatus = { success: 0, bug: 1, different: 1, mistake: 2, readerGone: 141 } as const;
