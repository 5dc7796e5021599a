/**
 * The secret of a studio that other machines can reach. It comes behind the # of the printed address, which browsers send to
 * nobody; the page takes it out of the address bar and keeps it for this origin. Any page can lead here with a token of its own
 * making: one that the server refuses does not take the place of another.
 */
const key = "foretoken.token";

/** Takes the token out of the address bar; null: there is none. */
const takeGiven = (): string | null => {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given !== null) history.replaceState(null, "", location.pathname + location.search);
  return given;
};

type Headers = Readonly<Record<string, string>>;

const bearer = (token: string | null): Headers => (token === null ? {} : { Authorization: `Bearer ${token}` });

const kept = (): string | null => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
};

const keep = (token: string): void => {
  try {
    localStorage.setItem(key, token);
  } catch {
    // No storage: the token holds until the page is loaded again.
  }
};

const isAccepted = async (token: string): Promise<boolean> => {
  const response = await fetch("/api/v1/info", { headers: bearer(token) }).catch(() => undefined);
  return response?.ok === true;
};

const choose = async (given: string | null, old: string | null): Promise<string | null> => {
  if (given === null || given === old) return old;
  if (await isAccepted(given)) {
    keep(given);
    return given;
  }
  return old ?? given;
};

let chosen = choose(takeGiven(), kept());

// The printed address in a tab that shows this page already: the browser does not load it again.
window.addEventListener("hashchange", () => {
  const given = takeGiven();
  if (given === null) return;
  const before = chosen;
  chosen = before.then((old) => choose(given, old));
  void Promise.all([before, chosen]).then(([old, token]) => {
    // All views begin anew, since those on the page were refused.
    if (token !== old && token === kept()) location.reload();
  });
});

/** The token that requests have; null: this studio's page has none. */
export const tokenInUse = (): Promise<string | null> => chosen;

/** An address that opens on another machine too. */
export const withToken = (address: string, token: string): string =>
  `${address.replace(/#.*$/u, "")}#${new URLSearchParams({ token })}`;

/** Headers of every request of the API. */
export const authorization = (): Promise<Headers> => chosen.then(bearer);
