/**
 * The first key that one object of a JSON text holds twice, or undefined. `JSON.parse` keeps the last of them in
 * silence, so two readers of one file could see two different things.
 * @param json text that `JSON.parse` accepts.
 */
export const findDuplicateKey = (json: string): string | undefined => {
  // Outside of strings, valid JSON has these characters as structure only.
  const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:,]/g;
  const open: (Set<string> | "array")[] = [];
  let lastString = "";
  for (const [token] of json.matchAll(tokens)) {
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push("array");
    else if (token === "}" || token === "]") open.pop();
    else if (token === ":") {
      const keys = open.at(-1);
      const key = JSON.parse(lastString) as string;
      if (!(keys instanceof Set)) continue;
      if (keys.has(key)) return key;
      keys.add(key);
    } else if (token !== ",") lastString = token;
  }
  return undefined;
};
