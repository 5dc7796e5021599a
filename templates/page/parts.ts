// The parts of the page, and what it says.
import type { Message } from "./messages.ts";

/** The element of index.html with this id. */
export const part = <Kind extends Element = HTMLElement>(id: string): Kind => document.querySelector(`#${id}`) as Kind;

export const count = new Intl.NumberFormat("en");

/** Says it beside the buttons. */
export const say = (line: string): void => {
  part("status").textContent = line;
};

export interface Action {
  /** Of its button. */
  readonly name: string;
  readonly act: () => void;
}

/** Gives a message a button, which does something; then the message goes. */
export const offer = (notice: Element, { name, act }: Action): void => {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
  button.addEventListener("click", () => {
    notice.remove();
    act();
  });
  notice.append(" ", button);
};

/**
 * A message at the top of the page, read out at once.
 * @param kind "lasting", or "news" or "error" until the next run.
 * @param action of its button, if it has one.
 */
export const tell = (kind: "lasting" | "news" | "error", { title, text }: Message, action?: Action): Element => {
  const notice = document.createElement("div");
  const heading = document.createElement("strong");
  heading.textContent = title;
  notice.className = `notice ${kind}`;
  notice.append(heading, ` ${text}`);
  if (action !== undefined) offer(notice, action);
  part("notices").append(notice);
  // It answers a press of a button, which may be far below it.
  if (kind === "error") notice.scrollIntoView({ block: "nearest" });
  return notice;
};
