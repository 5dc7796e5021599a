/** View of the chat without a model that holds conversations: what the reader can do instead. */
import { modelOf } from "../models/columns.ts";
import { modelName } from "../models/model-names.ts";
import { Command } from "../parts/command.tsx";

/** A small chat model, so that the download takes little time. */
const start = "npx foretoken studio --model hf:HuggingFaceTB/SmolLM2-135M-Instruct";
const train = "npx foretoken train --init-from hf:HuggingFaceTB/SmolLM2-135M-Instruct --data chat.jsonl --lora.rank 8";

/** Link to the playground with a model. */
export const playgroundOf = (model: string): string => `/playground?${new URLSearchParams({ model })}`;

export const NoChat = ({ hasModels }: { readonly hasModels: boolean }) => {
  const model = modelOf("left");
  return (
    <div class="no-chat">
      {hasModels ? (
        <>
          <p>
            No model here holds conversations: {model === "" ? "each one" : <b>{modelName(model)}</b>} was trained on
            plain text. Such a model continues a text: you write the beginning.
          </p>
          <p>
            <a class="button primary" href={model === "" ? "/playground" : playgroundOf(model)}>
              Continue a text
            </a>
          </p>
        </>
      ) : (
        <p>
          There is no model yet. <a href="/new">Start a run</a> to train a model that continues a text. For a
          conversation, you need a chat model.
        </p>
      )}
      <h2>Get a chat model</h2>
      <p>
        Start the studio with a chat model of the hub. This one is small: 135 million parameters, and a download of
        about 270 MB. A path of a GGUF file also works.
      </p>
      <Command text={start} />
      <h2>Fine-tune a chat model</h2>
      <p>
        Train a chat model further, on your own conversations. Each line of the file is one conversation. The new run
        then appears in the list of this view.
      </p>
      <Command text={train} />
    </div>
  );
};
