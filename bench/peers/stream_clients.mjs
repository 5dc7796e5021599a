/**
 * Clients of a server, for bench/serve.mjs. The parent process sets the number of streams. The clients report the
 * duration, the number of tokens, and the time to the first token.
 */
import { Agent, request } from "node:http";

const agent = new Agent({ keepAlive: true, maxSockets: 1024 });

/**
 * Token ids, different for each stream of each round, so that no prompt is cached. The smallest ids are not used,
 * because they are special tokens.
 */
const promptOf = ({ promptTokens, round, vocabSize }, stream) => {
  const first = vocabSize > 1000 ? 100 : 0;
  const number = (i) => (i * 7919 + stream * 104_729 + round * 1_299_709) % (vocabSize - first);
  return Array.from({ length: promptTokens }, (_, i) => first + number(i));
};

/** Resolves to the time to the first token, in milliseconds, and the number of tokens. */
const read = (url, body) =>
  new Promise((resolve, reject) => {
    const began = performance.now();
    const sent = request(
      `${url.replace(/\/v1$/u, "")}/v1/completions`,
      { method: "POST", agent, headers: { "Content-Type": "application/json" } },
      (response) => {
        let first;
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk) => {
          first ??= performance.now() - began;
          // The last event has the counts.
          text = (text + chunk).slice(-4000);
        });
        response.on("end", () => {
          const tokens = /"completion_tokens":(\d+)/u.exec(text)?.[1];
          if (response.statusCode !== 200 || tokens === undefined) reject(new Error(text));
          else resolve({ first, tokens: Number(tokens) });
        });
      },
    );
    sent.on("error", reject);
    sent.end(JSON.stringify(body));
  });

process.on("message", async (message) => {
  const asked =
    /** @type {{ url: string, streams: number, round: number, promptTokens: number, newTokens: number, vocabSize: number }} */ (
      message
    );
  const { url, streams, newTokens } = asked;
  const began = performance.now();
  const all = await Promise.all(
    Array.from({ length: streams }, (_, stream) =>
      read(url, {
        prompt: promptOf(asked, stream),
        ...{ max_tokens: newTokens, temperature: 0, stream: true, stream_options: { include_usage: true } },
      }),
    ),
  );
  const seconds = (performance.now() - began) / 1000;
  const tokens = all.reduce((sum, one) => sum + one.tokens, 0);
  process.send({ seconds, tokens, first: all.map(({ first }) => first) });
});
