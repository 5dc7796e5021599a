/** The address of the page: what is shown follows from it, so that a reload or a link shows the same. */
import { computed, signal } from "@preact/signals";

interface Address {
  readonly path: string;
  readonly query: URLSearchParams;
}

const read = (): Address => ({ path: location.pathname, query: new URLSearchParams(location.search) });

export const address = signal<Address>(read());
/** Changes with the view, not with each setting in its query. */
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

/** Writes settings of the view into the address without a step in the history; null removes one. */
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
/** A new run with the settings of one that there is. */
export const newRunAddress = (like: string): string => `/new?${new URLSearchParams({ like })}`;
/** Names are apart by commas, so a comma in a name is escaped: folders may be called anything. */
export const compareAddress = (names: readonly string[]): string =>
  `/compare?${new URLSearchParams({ runs: names.map((name) => name.replace(/[%,]/g, encodeURIComponent)).join(",") })}`;

/** The text of an escaped part of an address; a part that is not escaped rightly is meant as it is. */
export const unescaped = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

/** The runs that an address of `compareAddress` names. */
export const comparedNames = (query: URLSearchParams): readonly string[] => [
  ...new Set((query.get("runs") ?? "").split(",").filter(Boolean).map(unescaped)),
];

const isPlain = (event: MouseEvent): boolean =>
  event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;

/** Links to other views change the address without loading the page again. */
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (link === null || event.defaultPrevented || !isPlain(event)) return;
  if (link.origin !== location.origin || link.target !== "" || link.hasAttribute("download")) return;
  if (link.hash !== "" && link.pathname === location.pathname) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
