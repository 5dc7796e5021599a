/**
 * Token of a studio that other machines can reach. The printed address has the token after the #, and browsers do not
 * send this part. The page removes the token from the address bar and stores it for this origin. Any page can link here
 * with an invented token. So a token that the server refuses does not replace a stored token.
 */
const key = "foretoken.token";

/** Removes the token from the address bar and returns it. Null if the address has no token. */
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
    // Without storage, the token applies until the page is reloaded.
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

// The user opened the printed address in a tab that already shows this page, so the browser does not reload it.
window.addEventListener("hashchange", () => {
  const given = takeGiven();
  if (given === null) return;
  const before = chosen;
  chosen = before.then((old) => choose(given, old));
  void Promise.all([before, chosen]).then(([old, token]) => {
    // Reloads all views, because the server refused their requests.
    if (token !== old && token === kept()) location.reload();
  });
});

/** Token for requests. Null if this studio has no token. */
export const tokenInUse = (): Promise<string | null> => chosen;

/** Address with the token. The address also works on another machine. */
export const withToken = (address: string, token: string): string =>
  `${address.replace(/#.*$/u, "")}#${new URLSearchParams({ token })}`;

/** Headers for all API requests. */
export const authorization = (): Promise<Headers> => chosen.then(bearer);
