/** Names of models on the Hugging Face hub. */
import { CheckpointError } from "../../core/errors/errors.ts";

const scheme = "hf:";

/** Whether `path` names a model of the hub, in the form `hf:org/name` or `hf:org/name@revision`. */
export const isHubName = (path: string): boolean => path.startsWith(scheme);

/** A model of the hub. */
export interface HubName {
  readonly repository: string;
  /** Branch, tag or commit. */
  readonly revision: string;
}

/** @throws CheckpointError if `path` does not have the form `hf:org/name` or `hf:org/name@revision` */
export const parseName = (path: string): HubName => {
  const word = "[A-Za-z0-9_][A-Za-z0-9._-]*";
  const found = new RegExp(`^${scheme}(${word}/${word})(?:@(${word}))?$`, "u").exec(path);
  const [, repository, revision = "main"] = found ?? [];
  if (repository !== undefined) return { repository, revision };
  throw new CheckpointError({
    where: path,
    must: "a model of the hub must have the form hf:organisation/name",
    got: path.slice(scheme.length) || "nothing",
    hint: "hf:org/name or hf:org/name@revision",
  });
};
