/**
 * Exit statuses of the command:
 * - `success`: there was no error.
 * - `bug`: the program has a bug.
 * - `different`: the command looks for differences or faults, and found at least one.
 * - `mistake`: the user made a mistake.
 * - `readerGone`: training stopped because the reader of its output went away. As in shells, the status is 128 plus the
 *   number of SIGPIPE. `Interrupt` has the statuses of other signals.
 */
export const exitStatus = { success: 0, bug: 1, different: 1, mistake: 2, readerGone: 141 } as const;
