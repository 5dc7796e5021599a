/** Groups failures by cause, and keeps the first examples of each cause. */

const examples = 2;

/** @param {(number: number) => string} again returns the command that tests one case again */
export const createFindings = (again) => {
  /** @type {Map<string, { number: number, detail: string }[]>} */
  const found = new Map();
  return {
    add: (number, { cause, detail }) => {
      found.set(cause, [...(found.get(cause) ?? []), { number, detail }]);
    },
    count: () => [...found.values()].reduce((sum, list) => sum + list.length, 0),
    causes: () => Object.fromEntries([...found].map(([cause, list]) => [cause, list.map(({ number }) => number)])),
    print: () => {
      for (const [cause, list] of [...found].sort(([, a], [, b]) => b.length - a.length)) {
        console.log(`  ${list.length} × ${cause}`);
        for (const { number, detail } of list.slice(0, examples))
          console.log(`      case ${number}: ${detail}\n        ${again(number)}`);
      }
    },
  };
};
