/** Copies the current address with the token, which the address bar does not show. */
import { useEffect, useState } from "preact/hooks";
import { Copy } from "../parts/copy.tsx";
import { info } from "../server/facts.ts";
import { tokenInUse, withToken } from "./token.ts";

export const CopyLink = () => {
  const [token, setToken] = useState<string | null>(null);
  useEffect(() => void tokenInUse().then(setToken), []);
  // If the studio refuses the token, a link with this token would not work in another browser either.
  if (token === null || info.value.value === undefined) return null;
  return <Copy quiet label="Copy link with the token" text={() => withToken(location.href, token)} />;
};
