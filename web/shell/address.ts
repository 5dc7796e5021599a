/** Address of the page. The address determines the view, so a reload or a link shows the same view. */
import { computed, signal } from "@preact/signals";

interface Address {
  readonly path: string;
  readonly query: URLSearchParams;
}

const read = (): Address => ({ path: location.pathname, query: new URLSearchParams(location.search) });

export const address = signal<Address>(read());
/** Part of the address that changes with the view, but not with the settings in the query. */
export const path = computed(() => address.value.path);

window.addEventListener("popstate", () => {
  address.value = read();
});

/** Opens an address of the studio, as a link does. */
export const go = (href: string): void => {
  history.pushState(null, "", href);
  address.value = read();
  window.scrollTo(0, 0);
};

/** Writes settings of the view into the address, without a new history entry. A null value removes a setting. */
export const setQuery = (changes: Readonly<Record<string, string | null>>): void => {
  const query = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) query.delete(key);
    else query.set(key, value);
  }
  const text = query.toString();
  history.replaceState(null, "", text === "" ? location.pathname : `${location.pathname}?${text}`);
  address.value = read();
};

export const runAddress = (name: string): string => `/runs/${encodeURIComponent(name)}`;
/** Address of the form for a new run with the settings of an existing run. */
export const newRunAddress = (like: string): string => `/new?${new URLSearchParams({ like })}`;
/** Commas separate the names. A comma in a name is escaped, because a folder may have any name. */
export const compareAddress = (names: readonly string[]): string =>
  `/compare?${new URLSearchParams({ runs: names.map((name) => name.replace(/[%,]/g, encodeURIComponent)).join(",") })}`;

/** Decodes a part of an address. Returns it unchanged if its escapes are invalid. */
export const unescaped = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

/** Names of the runs in an address of `compareAddress`. */
export const comparedNames = (query: URLSearchParams): readonly string[] => [
  ...new Set((query.get("runs") ?? "").split(",").filter(Boolean).map(unescaped)),
];

const isPlain = (event: MouseEvent): boolean =>
  event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;

/** Links to other views change the address without reloading the page. */
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (link === null || event.defaultPrevented || !isPlain(event)) return;
  if (link.origin !== location.origin || link.target !== "" || link.hasAttribute("download")) return;
  if (link.hash !== "" && link.pathname === location.pathname) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
