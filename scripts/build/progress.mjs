// Prints how far a build is: a line when a part has ended, a line now and then with the parts that are still being
// built, and the time of the whole build at the end. npm shows these lines, because the project's own script prints
// them.

/** Seconds between two lines about parts that are still being built. */
const every = 20;

const seconds = (milliseconds) => `${(milliseconds / 1000).toFixed(1)} s`;

/**
 * @param {(line: string) => void} print
 */
export const openProgress = (print) => {
  const started = performance.now();
  const time = () => seconds(performance.now() - started);
  /** @type {Set<string>} */
  const underWay = new Set();
  let isNew = false;
  const tell = (line) => {
    isNew = true;
    print(line);
  };
  const timer = setInterval(() => {
    if (underWay.size > 0) print(`foretoken: still building ${[...underWay].join(", ")}, after ${time()}`);
  }, 1000 * every);
  const stop = () => clearInterval(timer);
  return {
    /** Prints a line about something that is being built. */
    tell,
    /**
     * Prints the line of a part when the part has ended. A part that is up to date has no line.
     * @param {string} name
     * @param {Promise<string | undefined>} build
     */
    async part(name, build) {
      underWay.add(name);
      try {
        const line = await build;
        if (line !== undefined) tell(line);
      } finally {
        underWay.delete(name);
      }
    },
    /** Prints the time of the whole build if something was built. @param {boolean} failed */
    end(failed) {
      stop();
      if (isNew) print(`foretoken: the build ${failed ? "failed" : "ended"} after ${time()}`);
    },
    /** Prints no more lines about parts that are still being built. For a build whose last line has its time. */
    stop,
  };
};
