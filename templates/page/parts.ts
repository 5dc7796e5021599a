// The elements of the page, and its messages.
import type { Message } from "./messages.ts";

/** The element of index.html with this id. */
export const part = <Kind extends Element = HTMLElement>(id: string): Kind => document.querySelector(`#${id}`) as Kind;

export const count = new Intl.NumberFormat("en");

/** A prompt before the model's text, in another colour. */
export const promptPart = (prompt: string): Element =>
  Object.assign(document.createElement("span"), { className: "prompt", textContent: prompt });

/** Shows a status text next to the buttons. */
export const say = (line: string): void => {
  part("status").textContent = line;
};

export interface Action {
  /** Label of the button in a message. */
  readonly name: string;
  readonly act: () => void;
}

/** Adds a button to a message. A click calls the action and removes the message. */
export const offer = (notice: Element, { name, act }: Action): void => {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
  button.addEventListener("click", () => {
    notice.remove();
    act();
  });
  notice.append(" ", button);
};

/**
 * Shows a message at the top of the page. Screen readers announce it immediately.
 * @param kind "lasting" stays; "news" and "error" stay until the next run.
 * @param action a button of the message, optional.
 */
export const tell = (kind: "lasting" | "news" | "error", { title, text }: Message, action?: Action): Element => {
  const notice = document.createElement("div");
  const heading = document.createElement("strong");
  heading.textContent = title;
  notice.className = `notice ${kind}`;
  notice.append(heading, ` ${text}`);
  if (action !== undefined) offer(notice, action);
  part("notices").append(notice);
  // The button that caused the message may be far below it, so the page scrolls to the message.
  if (kind === "error") notice.scrollIntoView({ block: "nearest" });
  return notice;
};
