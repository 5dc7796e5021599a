// Finds Chromium: the path in CHROME_PATH, or the first program on the path with a name of Chromium.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

const isProgram = (path) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

export const findChromium = ({ CHROME_PATH, PATH = "" } = process.env) => {
  const found =
    CHROME_PATH ||
    PATH.split(delimiter)
      .flatMap((folder) => names.map((name) => join(folder, name)))
      .find(isProgram);
  if (found === undefined)
    throw new Error("chromium must be on the path or in CHROME_PATH; got neither; try apt-get install chromium");
  return found;
};
