/**
 * Finds the models that have a chat template, without loading their weights. Results are cached until the files change.
 */
import { filesVersion } from "../../pretrained/files/files-version.node.ts";
import { hasChatTemplate } from "../../pretrained/has-chat-template.node.ts";

export interface KnownTemplates {
  /** Whether the model at `place` has a chat template. Null: unknown until the model is loaded. */
  has(place: string): Promise<boolean | null>;
  /** Records whether a loaded model has a template. @param files version of the model's files, from `filesVersion`. */
  note(place: string, files: string, has: boolean): void;
}

export const createKnownTemplates = (): KnownTemplates => {
  const known = new Map<string, { readonly files: string; readonly has: boolean }>();
  return {
    async has(place) {
      const files = await filesVersion(place);
      if (files === undefined) return null;
      const before = known.get(place);
      if (before?.files === files) return before.has;
      const has = await hasChatTemplate(place);
      if (has !== null) known.set(place, { files, has });
      return has;
    },
    note: (place, files, has) => void known.set(place, { files, has }),
  };
};
