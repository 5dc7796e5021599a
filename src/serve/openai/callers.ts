/**
 * Decides who may use the server. If the server has API keys, only programs with a key may use it. Without API keys,
 * all programs on this machine may use the server. A page in a browser may use the server only if the page's origin is
 * allowed, because any open page can send requests to 127.0.0.1.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { ApiError } from "./api-error.ts";

/** Rules about who may use a server, and the limits of each key. */
export interface CallerSettings {
  /** API keys. Empty: no key is needed. */
  readonly keys: readonly string[];
  /** Maximum number of requests of one key at the same time. */
  readonly perKey: number;
  /** Origins of pages that may use the server; "*": all origins. */
  readonly origins: readonly string[];
}

/** The sender of a request. */
export interface Caller {
  /** Identifies the key in logs without revealing the key. Null: no key is needed. */
  readonly id: string | null;
  /** Must be called when the request has ended. */
  release(): void;
}

export interface Callers {
  /** CORS headers for a page with an allowed origin. @throws ApiError for another origin. */
  pageHeaders(request: Request): Readonly<Record<string, string>>;
  /**
   * Checks the key of a request.
   * @param counts whether the request counts towards the key's limit.
   * @throws ApiError for a wrong or missing key, or too many requests.
   */
  admit(request: Request, counts?: boolean): Caller;
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/**
 * Host headers of requests to this machine's own names. A request with another host name is suspicious: somebody may
 * have pointed that name at this machine (DNS rebinding).
 */
const ownHost = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]|\[::ffff:127\.\d{1,3}\.\d{1,3}\.\d{1,3}\])(?::\d{1,5})?$/iu;

/** Headers that proxies add. If a request has such a header, its real sender is not on this machine. */
const forwarded = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"] as const;

const allowedMethods = "GET, POST, OPTIONS";

export const createCallers = ({ keys, perKey, origins }: CallerSettings): Callers => {
  const known = keys.map((key) => ({ hash: digest(key), id: `key-${digest(key).toString("hex").slice(0, 8)}` }));
  const underWay = new Map<string, number>();

  /** The comparison takes the same time for every given key and every position of the right key. */
  const keyOf = (request: Request): string | undefined => {
    const [, given = ""] = /^Bearer +(\S+)\s*$/iu.exec(request.headers.get("authorization") ?? "") ?? [];
    const hash = digest(given);
    let found: string | undefined;
    for (const key of known) if (timingSafeEqual(hash, key.hash)) found = key.id;
    return found;
  };

  return {
    pageHeaders(request) {
      const origin = request.headers.get("origin");
      if (origin === null) return {};
      if (!origins.includes("*") && !origins.includes(origin)) {
        throw new ApiError(
          403,
          `pages of ${origin.slice(0, 100)} may not use this server; try --allow-origin with this origin`,
          { code: "origin_not_allowed" },
        );
      }
      return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": allowedMethods,
        "Access-Control-Allow-Headers": request.headers.get("access-control-request-headers") ?? "*",
        "Access-Control-Expose-Headers": "Retry-After, X-Request-Id",
        "Access-Control-Max-Age": "600",
        Vary: "Origin",
      };
    },
    admit(request, counts = true) {
      if (known.length === 0) {
        const isForwarded = forwarded.some((name) => request.headers.has(name));
        if (isForwarded) {
          throw new ApiError(
            403,
            "a server without API keys must not be used through a proxy; got a request from a proxy; try --api-key",
            {
              code: "host_not_allowed",
            },
          );
        }
        if (ownHost.test(request.headers.get("host") ?? "")) return { id: null, release() {} };
        throw new ApiError(
          403,
          "on a server without API keys the host must be localhost or 127.0.0.1; got another host; try --api-key, or localhost",
          { code: "host_not_allowed" },
        );
      }
      const id = keyOf(request);
      if (id === undefined) {
        throw new ApiError(401, "the API key must be one of the keys of this server; got another key, or none", {
          code: "invalid_api_key",
        });
      }
      if (!counts) return { id, release() {} };
      const count = underWay.get(id) ?? 0;
      if (count >= perKey) {
        throw new ApiError(429, `a key may have at most ${perKey} requests at a time; got one more; try again later`, {
          code: "rate_limit_exceeded",
          retryAfter: 1,
        });
      }
      underWay.set(id, count + 1);
      let isHeld = true;
      return {
        id,
        release() {
          if (!isHeld) return;
          isHeld = false;
          const left = (underWay.get(id) ?? 1) - 1;
          if (left === 0) underWay.delete(id);
          else underWay.set(id, left);
        },
      };
    },
  };
};
