/** The bytes of a file, which are read piece by piece. */
export interface ByteSource {
  /** Length of the file. */
  readonly size: number;
  /**
   * `length` bytes from `offset` on, which lie within the file. Some sources read forwards only.
   * @param into memory that the source may put them into, if it is long enough: the result is then a part of it.
   * @throws CheckpointError for a file that ends early.
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  /**
   * To be called when all that is needed has been read.
   * @throws CheckpointError for a file that has changed meanwhile, or is not the one that was saved.
   */
  end(): Promise<void>;
  /** Nothing is read for a while: a source may give a connection back until then. */
  pause?(): Promise<void>;
  /** Releases the file. A second call does nothing. */
  close(): Promise<void>;
}

/** A file in memory; its pieces are views. */
export const memorySource = (bytes: Uint8Array): ByteSource => ({
  size: bytes.length,
  read: async (offset, length) => bytes.subarray(offset, offset + length),
  end: async () => {},
  close: async () => {},
});
