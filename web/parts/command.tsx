/** Commands to copy. */
import { Copy } from "./copy.tsx";

/**
 * Text of a command. Its lines break only at spaces: browsers would also break a line inside "--steps". A word that is
 * longer than a line breaks anywhere.
 */
export const CommandText = ({ text }: { readonly text: string }) => (
  <>
    {text.split(" ").flatMap((word, i) => [
      i > 0 && " ",
      <span class="word" key={i}>
        {word}
      </span>,
    ])}
  </>
);

export const Command = ({ text }: { readonly text: string }) => (
  <p class="command">
    <code>
      <CommandText text={text} />
    </code>
    <Copy quiet label="Copy" text={() => text} />
  </p>
);
