import { spawn } from "node:child_process";

const openers: Readonly<Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>>> = {
  darwin: ["open"],
  // Its first word in quotes would be a title.
  win32: ["cmd", "/c", "start", '""'],
};

/** On Windows "&" ends a command, but not between quotes. */
const wordOf = (url: string): string => (process.platform === "win32" ? `"${url}"` : url);

/** Opens an address in the browser, as far as there is one: who starts a program far away sees the address alone. */
export const openPage = (url: string): void => {
  const [program, ...args] = openers[process.platform] ?? ["xdg-open"];
  const opener = spawn(program, [...args, wordOf(url)], {
    ...{ stdio: "ignore", detached: true },
    // Node would quote the quotes.
    windowsVerbatimArguments: true,
  });
  opener.on("error", () => {});
  opener.unref();
};
