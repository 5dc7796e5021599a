/**
 * Who may ask: programs that have a key, or without keys all programs of this machine. A page in a browser may not, unless its
 * origin was allowed: any page that is open can send requests to 127.0.0.1.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { ApiError } from "./api-error.ts";

/** Who may ask a server, and how much at a time. */
export interface CallerSettings {
  /** Empty: no key is needed. */
  readonly keys: readonly string[];
  /** Requests of one key that are answered at the same time. */
  readonly perKey: number;
  /** Origins of pages that may ask; "*": all of them. */
  readonly origins: readonly string[];
}

/** Somebody who asks. */
export interface Caller {
  /** Tells keys apart in notes, and says nothing of them; null: no key is needed. */
  readonly id: string | null;
  /** Its request has ended. */
  release(): void;
}

export interface Callers {
  /** Headers for a page whose origin was allowed. @throws ApiError for one that was not. */
  pageHeaders(request: Request): Readonly<Record<string, string>>;
  /**
   * @param counts whether the request is one of those that a key may have at a time.
   * @throws ApiError for a request of nobody, or one too many.
   */
  admit(request: Request, counts?: boolean): Caller;
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Hosts of a request that came by a name of this machine itself: another name may have been given its address. */
const ownHost = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]|\[::ffff:127\.\d{1,3}\.\d{1,3}\.\d{1,3}\])(?::\d{1,5})?$/iu;

/** What a proxy adds: those who ask it are not on this machine. */
const forwarded = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"] as const;

const allowedMethods = "GET, POST, OPTIONS";

export const createCallers = ({ keys, perKey, origins }: CallerSettings): Callers => {
  const known = keys.map((key) => ({ hash: digest(key), id: `key-${digest(key).toString("hex").slice(0, 8)}` }));
  const underWay = new Map<string, number>();

  /** In a time that depends neither on the key nor on its place. */
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
          `pages of ${origin.slice(0, 100)} may not ask this server; try --allow-origin with their origin`,
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
          throw new ApiError(403, "without a key a server answers no proxy; got a request of one; try --api-key", {
            code: "host_not_allowed",
          });
        }
        if (ownHost.test(request.headers.get("host") ?? "")) return { id: null, release() {} };
        throw new ApiError(
          403,
          "without a key the host must be localhost or 127.0.0.1; got another one; try --api-key, or that host",
          { code: "host_not_allowed" },
        );
      }
      const id = keyOf(request);
      if (id === undefined) {
        throw new ApiError(401, "the API key must be one of this server; got another one, or none", {
          code: "invalid_api_key",
        });
      }
      if (!counts) return { id, release() {} };
      const count = underWay.get(id) ?? 0;
      if (count >= perKey) {
        throw new ApiError(429, `a key may have ${perKey} requests at a time; got one more; try again later`, {
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
