/** Link from a text to the inside view of the model that wrote or read it. */
import { insideAddress } from "../inside/texts.ts";
import { keep } from "../shell/kept.ts";

export const LookInside = ({ model, text }: { readonly model: string; readonly text: string }) => (
  // A text that is too long for an address is stored in this tab.
  <a href={insideAddress(model, text)} onClick={() => keep("inside.text", text)}>
    Look inside this text
  </a>
);
