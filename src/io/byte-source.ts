/** The bytes of a file, read piece by piece. */
export interface ByteSource {
  /** Size of the file in bytes. */
  readonly size: number;
  /**
   * Reads `length` bytes at `offset`. All these bytes must be within the file. Some sources are fast only if the file
   * is read from beginning to end.
   * @param into memory for the bytes. If this memory is large enough, the source may use it and return a view of it.
   * @throws CheckpointError if the file ends early.
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  /**
   * Checks the file after all needed bytes have been read.
   * @throws CheckpointError if the file has changed since it was opened, or if it differs from the file that was saved.
   */
  end(): Promise<void>;
  /** Call this method before a pause in reading, so that the source can close its connection. */
  pause?(): Promise<void>;
  /** Closes the file. A second call does nothing. */
  close(): Promise<void>;
}

/** A file in memory. The pieces are views of the file, not copies. */
export const memorySource = (bytes: Uint8Array): ByteSource => ({
  size: bytes.length,
  read: async (offset, length) => bytes.subarray(offset, offset + length),
  end: async () => {},
  close: async () => {},
});
