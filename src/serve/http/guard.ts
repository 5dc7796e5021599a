/**
 * Decides who may use a local server: pages that the server itself delivered, and programs on this machine. Any page
 * that is open in a browser can send requests to 127.0.0.1. The page's site can also point its own host name to
 * 127.0.0.1 (DNS rebinding). So host names, origins and content types are checked first. A server that other machines
 * can reach also requires a token.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { hostname, networkInterfaces } from "node:os";

/** Settings of the checks. */
export interface GuardSettings {
  /** Accepted host names, such as `localhost` or `[::1]`. */
  readonly names: readonly string[];
  readonly port: number;
  /**
   * The token that every API request must have. Null: no token is needed, because only this machine can reach the
   * server.
   */
  readonly token: string | null;
  /**
   * Prefix of the API's paths. Requests to these paths need the token. A link from another site may not lead to these
   * paths.
   */
  readonly apiPath: string;
}

/** Response to a refused request: the status, and a line for the user. */
export interface Refusal {
  readonly status: 401 | 403 | 405 | 415;
  readonly error: string;
}

const loopbackNames: readonly string[] = ["127.0.0.1", "localhost", "[::1]"];
const anyAddress: readonly string[] = ["0.0.0.0", "::", "[::]"];

/** Formats a host for an address: IPv6 in brackets. */
export const hostInUrl = (host: string): string => (host.includes(":") && !host.startsWith("[") ? `[${host}]` : host);

/** Whether only this machine can reach `host`. */
export const isLoopback = (host: string): boolean =>
  loopbackNames.includes(hostInUrl(host).toLowerCase()) || /^127(?:\.\d{1,3}){3}$/u.test(host);

/** Whether a server bound to `bound` accepts connections at all addresses of the machine. */
export const isAnyAddress = (bound: string): boolean => anyAddress.includes(bound);

/**
 * Addresses of this machine in its networks. Link-local IPv6 addresses are left out: they need a zone, and browsers
 * cannot open addresses with a zone.
 */
const ownAddresses = (): readonly string[] =>
  Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .flatMap(({ address, internal }) => (internal || address.startsWith("fe80:") ? [] : [hostInUrl(address)]));

/**
 * Host names that the server accepts.
 * @param host the host as the user gave it, such as "0" or "localhost".
 * @param bound the address that the system chose for `host`.
 */
export const namesOf = (host: string, bound: string): readonly string[] => {
  const own = [hostInUrl(host).toLowerCase(), hostInUrl(bound)];
  if (isAnyAddress(bound)) return [...new Set([...loopbackNames, ...own, hostname().toLowerCase(), ...ownAddresses()])];
  return [...new Set(isLoopback(bound) ? [...loopbackNames, ...own] : own)];
};

/** Host names to print. `here` is for a browser on this machine, `elsewhere` is for other machines. */
export const shownNames = (
  host: string,
  bound: string,
): { readonly here: string; readonly elsewhere: readonly string[] } =>
  isAnyAddress(bound)
    ? { here: "localhost", elsewhere: ownAddresses() }
    : { here: hostInUrl(isLoopback(bound) && !isLoopback(host) ? bound : host), elsewhere: [] };

/** A random secret that can be part of an address. */
export const newToken = (): string => randomBytes(32).toString("base64url");

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Compares two texts. The time does not depend on the position of the first difference. */
const isSame = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));

/** A host with its port, in the format of browsers. Port 80 is left out. */
const withPort = (name: string, port: number): string => (port === 80 ? name : `${name}:${port}`);

const refuse = (status: Refusal["status"], error: string): Refusal => ({ status, error });

/**
 * Whether a router might treat a path as a path of the API. Routers decode escapes (`/%61pi`), and some routers decode
 * escapes twice. The result is true if the first part of the path cannot be decoded.
 */
const isOfApi = (path: string, apiPath: string): boolean => {
  const firstOf = (parts: string): string => parts.split(/[/\\]+/u).find((part) => part !== "") ?? "";
  let first = firstOf(path);
  for (let round = 0; round < 3 && first.includes("%"); round++) {
    try {
      first = firstOf(decodeURIComponent(first));
    } catch {
      return true;
    }
  }
  return first.includes("%") || first.startsWith(".") || first.trim().toLowerCase() === firstOf(apiPath);
};

/**
 * A page of another site may contain links to pages of this server. All other requests of the other site's page are
 * refused.
 */
const isNavigation = (request: Request, path: string, apiPath: string): boolean =>
  request.method === "GET" &&
  !isOfApi(path, apiPath) &&
  request.headers.get("sec-fetch-mode") === "navigate" &&
  request.headers.get("sec-fetch-dest") === "document";

const checkCaller = (request: Request, path: string, settings: GuardSettings): Refusal | undefined => {
  const { names, port, apiPath } = settings;
  const host = (request.headers.get("host") ?? "").toLowerCase();
  const hosts = names.map((name) => withPort(name, port));
  if (!hosts.includes(host)) {
    const known = hosts.slice(0, 3).join(", ");
    return refuse(403, `the host and port must be the server's own; got another host or port; try ${known}`);
  }
  const origin = request.headers.get("origin");
  if (origin !== null && origin !== `http://${host}`)
    return refuse(
      403,
      "requests must come from the server's own page; got another origin; try opening the server's address directly",
    );
  const site = request.headers.get("sec-fetch-site");
  const isOwn = site === null || site === "same-origin" || site === "none";
  if (!isOwn && !isNavigation(request, path, apiPath))
    return refuse(
      403,
      "requests must come from the server's own page; got a request from another site; try opening the server's address directly",
    );
  return undefined;
};

const checkKind = (request: Request): Refusal | undefined => {
  if (request.method === "GET" || request.method === "HEAD") return undefined;
  if (request.method !== "POST")
    return refuse(405, "the method must be GET, HEAD or POST; got another method; try POST");
  if (request.headers.get("origin") === null)
    return refuse(403, "a POST request must have the header Origin; got none; try adding it");
  const [type = ""] = (request.headers.get("content-type") ?? "").split(";");
  if (type.trim().toLowerCase() !== "application/json")
    return refuse(
      415,
      "the body must be JSON; got another content type; try the header Content-Type: application/json",
    );
  return undefined;
};

/** Why the token of a request is refused. Undefined: the token is right, or no token is needed. */
export const tokenRefusal = (request: Request, { token }: GuardSettings): Refusal | undefined => {
  if (token === null) return undefined;
  const [, given = ""] = /^Bearer +(\S+)$/iu.exec(request.headers.get("authorization") ?? "") ?? [];
  if (given !== "" && isSame(given, token)) return undefined;
  return refuse(
    401,
    "the request must have the studio's token; got a wrong token or none; try the full address that the studio printed",
  );
};

/** Why a request is refused. Undefined: the request is accepted. */
export const refusalOf = (request: Request, settings: GuardSettings): Refusal | undefined => {
  const path = new URL(request.url).pathname;
  const refusal = checkCaller(request, path, settings) ?? checkKind(request);
  if (refusal !== undefined || !isOfApi(path, settings.apiPath)) return refusal;
  return tokenRefusal(request, settings);
};

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "font-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/**
 * Policy of a worker that computes with WebAssembly on threads from the worker's own code. A worker's policy comes with
 * the response that delivers the worker. So the page's own policy stays strict.
 */
export const computingPolicy = policy
  .replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")
  .replace("worker-src 'self'", "worker-src 'self' blob:")
  .replace("connect-src 'self'", "connect-src 'self' blob:");

/** Headers of every response. The two isolation headers allow the threads of the page's workers to share memory. */
export const guardHeaders: Readonly<Record<string, string>> = {
  "Content-Security-Policy": policy,
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};
