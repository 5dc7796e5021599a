/**
 * Cases for the fields about tools. The template of this model does not support tools, so the server refuses these
 * fields. tools.test.ts tests models that support tools.
 */
import { expect } from "vitest";
import type { Body, TestServer } from "../../../support/openai-server.ts";
import { askOf, type Case, type Endpoint } from "./endpoint.ts";

/** @param named a tool choice that names a tool that does not exist. */
export const toolCases = (
  server: TestServer,
  { path, base }: Pick<Endpoint, "path" | "base">,
  tool: unknown,
  named: unknown,
) => {
  const answerOf = askOf(server);
  const refusedFor = async (changes: Body): Promise<string> => {
    const { status, body } = await server.post(path, { ...base, ...changes });
    expect(status).toBe(400);
    return body.error.param;
  };
  return {
    tools: {
      async shows() {
        expect(await refusedFor({ tools: [tool] })).toBe("tools");
        await answerOf(path, { ...base, tools: [tool], tool_choice: "none" });
        await answerOf(path, { ...base, tools: [] });
      },
      wrong: [1, {}, [1], [{ type: "custom" }], [{ ...(tool as Body), other: 1 }], Array(129).fill(tool)],
    },
    tool_choice: {
      async shows() {
        expect(await refusedFor({ tool_choice: "required" })).toBe("tool_choice");
        expect(await refusedFor({ tools: [tool], tool_choice: named })).toBe("tool_choice");
        await answerOf(path, { ...base, tool_choice: "auto" });
      },
      wrong: [1, "all", { type: "function" }, { type: "allowed_tools" }],
    },
    parallel_tool_calls: {
      shows: async () => void (await answerOf(path, { ...base, parallel_tool_calls: false })),
      wrong: [1, "true"],
    },
  } satisfies Record<string, Case>;
};
