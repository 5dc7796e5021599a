import { spawn } from "node:child_process";

const openers: Readonly<Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>>> = {
  darwin: ["open"],
  // `start` interprets its first quoted word as a title, so an empty title is given.
  win32: ["cmd", "/c", "start", '""'],
};

/** On Windows "&" ends a command, except between quotes. */
const wordOf = (url: string): string => (process.platform === "win32" ? `"${url}"` : url);

/**
 * Opens an address in the browser if there is one. Errors are ignored: on a remote machine, the user still sees the
 * printed address.
 */
export const openPage = (url: string): void => {
  const [program, ...args] = openers[process.platform] ?? ["xdg-open"];
  const opener = spawn(program, [...args, wordOf(url)], {
    ...{ stdio: "ignore", detached: true },
    // Without this option, Node would escape the quotes.
    windowsVerbatimArguments: true,
  });
  opener.on("error", () => {});
  opener.unref();
};
