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

/**
 * A message at the top of the page, read out at once.
 * @param kind "lasting", or "news" or "error" until the next run.
 * @param action which a button of the message does; then the message goes.
 */
export const tell = (kind: "lasting" | "news" | "error", { title, text }: Message, action?: Action): void => {
  const notice = document.createElement("div");
  const heading = document.createElement("strong");
  heading.textContent = title;
  notice.className = `notice ${kind}`;
  notice.append(heading, ` ${text}`);
  if (action !== undefined) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: action.name });
    button.addEventListener("click", () => {
      notice.remove();
      action.act();
    });
    notice.append(" ", button);
  }
  part("notices").append(notice);
};
