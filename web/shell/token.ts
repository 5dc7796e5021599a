/**
 * The secret of a studio that other machines can reach. It comes behind the # of the printed address, which browsers send to
 * nobody; the page takes it out of the address bar and keeps it for this origin.
 */
const key = "foretoken.token";

const given = new URLSearchParams(location.hash.slice(1)).get("token");
let token = given;
try {
  if (given !== null) localStorage.setItem(key, given);
  else token = localStorage.getItem(key);
} catch {
  // No storage: the token holds until the page is loaded again.
}
if (given !== null) history.replaceState(null, "", location.pathname + location.search);

/** Headers of every request of the API. */
export const authorization = (): Readonly<Record<string, string>> =>
  token === null ? {} : { Authorization: `Bearer ${token}` };
