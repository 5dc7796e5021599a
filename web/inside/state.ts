/** State of the inside view. The whole state is in the address, except texts that are too long for an address. */
import { signal as newSignal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Failure } from "../../src/serve/studio/protocol.ts";
import { api, postJson } from "../server/request.ts";
import { address, setQuery } from "../shell/address.ts";
import { keep, readKept } from "../shell/kept.ts";
import { fitsAddress, type TextKey, textIn } from "./texts.ts";

export const tabs = [
  { value: "attention", label: "Attention" },
  { value: "lens", label: "Lens" },
  { value: "neighbours", label: "Neighbours" },
  { value: "heads", label: "Heads" },
  { value: "patching", label: "Patching" },
] as const;
export type Tab = (typeof tabs)[number]["value"];

const asked = (key: string): string | null => address.value.query.get(key);

export const tabOf = (): Tab => tabs.find(({ value }) => value === asked("view"))?.value ?? "attention";
/** Settings that only one tab uses. The addresses of other tabs do not contain them. */
const ownKeys: Readonly<Record<Tab, readonly string[]>> = {
  attention: ["from", "to", "head"],
  lens: ["stage", "rows"],
  neighbours: ["token", "of"],
  heads: ["off"],
  patching: ["corrupted", "part", "answer", "whole"],
};

const left = new Map<Tab, { readonly text: string | null; readonly values: Readonly<Record<string, string | null>> }>();

/** Opens a tab in its last state. A corrupted text that belongs to another clean text is left out. */
export const showTab = (tab: Tab): void => {
  const now = tabOf();
  const text = asked("text");
  const values = Object.fromEntries(ownKeys[now].map((key) => [key, asked(key)]));
  left.set(now, { text, values });
  const before = left.get(tab);
  setQuery({
    ...Object.fromEntries(Object.keys(values).map((key) => [key, null])),
    ...before?.values,
    ...(before !== undefined && before.text !== text && tab === "patching" ? { corrupted: null } : {}),
    view: tab === "attention" ? null : tab,
  });
};

export const modelOf = (): string => asked("model") ?? "";

/**
 * Reads a whole number from the address and returns it as an index. The number begins at 1; the index begins at 0. If
 * the number is too large, the result is the last index.
 */
export const indexOf = (key: string, count: number, usual = 0): number => {
  const given = asked(key);
  const value = given === null ? usual : Math.floor(Number(given)) - 1;
  return Number.isFinite(value) ? Math.max(0, Math.min(count - 1, value)) : usual;
};
export const setIndex = (changes: Readonly<Record<string, number>>): void =>
  setQuery(Object.fromEntries(Object.entries(changes).map(([key, index]) => [key, String(index + 1)])));

export const textOf = (key: TextKey): string =>
  textIn(address.value.query, key, (one) => readKept<string>(`inside.${one}`));

export const setText = (key: TextKey, text: string): void => {
  keep(`inside.${key}`, text);
  if (key === "corrupted" && !fitsAddress(text)) {
    // Stores both texts in the tab. An address with only the clean text would mean that there is no corrupted text.
    keep("inside.text", textOf("text"));
    setQuery({ text: null, corrupted: null });
    return;
  }
  setQuery({ [key]: text !== "" && fitsAddress(text) ? text : null });
};

export interface Asked<T, Body extends object = object> {
  /** Last answer. The answer is kept while the next answer is loading. */
  readonly value: T | undefined;
  /** Request to which `value` is the answer. */
  readonly asked: Body | undefined;
  readonly failure: Failure | undefined;
  readonly isWaiting: boolean;
  /** Seconds that the last answer took. */
  readonly seconds: number;
}

/** Number of pending requests. */
export const waiting = newSignal(0);

const nothing = { value: undefined, asked: undefined, failure: undefined, isWaiting: false, seconds: 0 } as const;

/**
 * Answer to a request. A new body starts a new request and cancels the previous request. Undefined body: no request.
 */
export const useAnswer = <T, Body extends object = object>(path: string, body: Body | undefined): Asked<T, Body> => {
  const state = useSignal<Asked<T, Body>>(nothing);
  const key = body === undefined ? "" : JSON.stringify(body);
  useEffect(() => {
    if (body === undefined) {
      state.value = nothing;
      return;
    }
    const controller = new AbortController();
    const { signal } = controller;
    state.value = { ...state.peek(), isWaiting: true };
    let isOpen = true;
    waiting.value++;
    const close = () => {
      if (isOpen) waiting.value--;
      isOpen = false;
    };
    const ask = async () => {
      const began = performance.now();
      const answer = await postJson<T>(`${api}/${path}`, body, signal).catch(() => undefined);
      close();
      if (signal.aborted || answer === undefined) return;
      const seconds = (performance.now() - began) / 1000;
      state.value =
        answer.kind === "ok"
          ? { ...nothing, value: answer.value, asked: body, seconds }
          : { ...nothing, failure: answer.failure, seconds };
    };
    void ask();
    return () => {
      close();
      controller.abort();
    };
  }, [path, key]);
  return state.value;
};
