/** Formats bytes for people: 12.1 GiB, 0.3 MiB, 12.0 KiB. */
export const formatBytes = (bytes: number): string =>
  bytes >= 2 ** 30
    ? `${(bytes / 2 ** 30).toFixed(1)} GiB`
    : bytes >= 2 ** 20 / 10
      ? `${(bytes / 2 ** 20).toFixed(1)} MiB`
      : `${(bytes / 2 ** 10).toFixed(1)} KiB`;
