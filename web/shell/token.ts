/**
 * The secret of a studio that other machines can reach. It comes behind the # of the printed address, which browsers send to
 * nobody; the page takes it out of the address bar and keeps it for this origin. Any page can lead here with a token of its own
 * making: one that the server refuses does not take the place of another.
 */
const key = "foretoken.token";

const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given !== null) history.replaceState(null, "", location.pathname + location.search);

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

const choose = async (): Promise<string | null> => {
  const old = kept();
  if (given === null || given === old) return old;
  if (await isAccepted(given)) {
    keep(given);
    return given;
  }
  return old ?? given;
};

const chosen: Promise<string | null> = choose();
const headers: Promise<Headers> = chosen.then(bearer);

/** The token that requests have; null: this studio's page has none. */
export const tokenInUse = (): Promise<string | null> => chosen;

/** An address that opens on another machine too. */
export const withToken = (address: string, token: string): string =>
  `${address.replace(/#.*$/u, "")}#${new URLSearchParams({ token })}`;

/** Headers of every request of the API. */
export const authorization = (): Promise<Headers> => headers;
