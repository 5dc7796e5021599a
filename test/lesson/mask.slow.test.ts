import { existsSync } from "node:fs";
import { join } from "node:path";
import { it } from "vitest";
import { openBackend } from "#foretoken/backend/select.node.js";
import { loadCorpus } from "#foretoken/data/corpora.node.js";
import { lessonInput } from "#foretoken/lesson/input.js";
import { maskLesson } from "#foretoken/lesson/mask.js";
import { forEachBackend } from "../support/backends.ts";
import { expectCheater } from "./cheater.ts";
import { piecesOf } from "./small-lessons.ts";

const folder = process.env.FORETOKEN_CORPORA;
const hasShakespeare = folder !== undefined && existsSync(join(folder, "tiny-shakespeare.txt"));
const data = hasShakespeare ? "tiny-shakespeare" : "moby-dick";

// mask-snapshot.slow.test.ts trains this lesson on WebAssembly.
forEachBackend(
  "the mask's lesson",
  ({ name }) => {
    it(`trains a cheater that copies and cannot write, and a twin that predicts and can (${data})`, async () => {
      const backend = await openBackend(name, { threads: 2 });
      try {
        const corpus = await loadCorpus(data);
        const input = lessonInput({ backend, corpus, clock: () => 0, signal: new AbortController().signal });
        expectCheater({ input, pieces: await piecesOf(maskLesson(input)) });
      } finally {
        await backend.close();
      }
    });
  },
  ["native"],
);
