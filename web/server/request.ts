/** Requests to the studio's server. A failure is a returned value, so that a view can show it in the right place. */
import { signal } from "@preact/signals";
import type { Failure } from "../../src/serve/studio/protocol.ts";
import { authorization } from "../shell/token.ts";

export type Answer<T> =
  | { readonly kind: "ok"; readonly value: T }
  | { readonly kind: "failed"; readonly status: number; readonly failure: Failure };

export const api = "/api/v1";

export const runPath = (name: string): string => `${api}/runs/${encodeURIComponent(name)}`;

const unreachable: Failure = {
  error: "The studio’s server does not respond.",
};

/** Whether the server did not respond to the last request. */
export const isUnreachable = signal(false);

const isFailure = (value: unknown): value is Failure =>
  typeof value === "object" && value !== null && typeof (value as { error?: unknown }).error === "string";

const lacksToken: Failure = {
  error:
    "This studio requires its token. Open the address that the studio printed at its start, or add #token=… with the token to this address.",
};

/** Failure in a response. If the server sent a message, the failure contains this message. */
export const failureOf = async (response: Response): Promise<Failure> => {
  const body: unknown = await response.json().catch(() => undefined);
  if (response.status === 401) return lacksToken;
  return isFailure(body) ? body : { error: `The server answered ${response.status} ${response.statusText}.` };
};

interface Init {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

const request = async <T>(path: string, init: Init): Promise<Answer<T>> => {
  try {
    const response = await fetch(path, { ...init, headers: { ...init.headers, ...(await authorization()) } });
    isUnreachable.value = false;
    if (!response.ok) return { kind: "failed", status: response.status, failure: await failureOf(response) };
    return { kind: "ok", value: (await response.json()) as T };
  } catch (error) {
    if (init.signal?.aborted === true) throw error;
    isUnreachable.value = true;
    return { kind: "failed", status: 0, failure: unreachable };
  }
};

export const getJson = <T>(path: string, signal?: AbortSignal): Promise<Answer<T>> =>
  request<T>(path, signal === undefined ? {} : { signal });

export const jsonBody = (body: unknown): Init => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

export const postJson = <T>(path: string, body: unknown, signal?: AbortSignal): Promise<Answer<T>> =>
  request<T>(path, { ...jsonBody(body), ...(signal === undefined ? {} : { signal }) });
