/** A local server that imitates the model hub. It has one model: `some/model`. */
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";

/** The commit to which all revisions of the model belong. */
export const commit = "0123456789abcdef0123456789abcdef01234567";

export const blobHash = (bytes: Buffer): string =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");

/** Contents of the server, and the way in which it responds. */
export interface Served {
  readonly files: Map<string, Buffer>;
  /** Paths that were requested. */
  readonly asked: string[];
  /** Changes the bytes of a file before they are sent. */
  spoil?: (name: string, bytes: Buffer) => Buffer;
}

const json = (response: ServerResponse, value: unknown): void => {
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify(value));
};

const sendFile = (request: IncomingMessage, response: ServerResponse, bytes: Buffer): void => {
  const range = /^bytes=(\d+)-(\d*)$/u.exec(request.headers.range ?? "");
  response.setHeader("ETag", `"${blobHash(bytes)}"`);
  if (range === null) {
    response.setHeader("Content-Length", bytes.length);
    response.end(bytes);
    return;
  }
  const [from, to] = [Number(range[1]), range[2] === "" ? bytes.length - 1 : Number(range[2])];
  response.writeHead(206, { "Content-Range": `bytes ${from}-${to}/${bytes.length}` });
  response.end(bytes.subarray(from, to + 1));
};

/** Responds like the hub, with a model's commit, the list of its files, and the files. */
export const answer = (served: Served, request: IncomingMessage, response: ServerResponse): void => {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  served.asked.push(pathname);
  if (/^\/api\/models\/some\/model\/revision\/(main|v1)$/u.test(pathname)) {
    json(response, { _id: "1", id: "some/model", sha: commit });
    return;
  }
  if (pathname === `/api/models/some/model/tree/${commit}`) {
    const list = [...served.files].map(([path, bytes]) => {
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      const lfs = path.endsWith(".safetensors") ? { lfs: { oid: sha256, size: bytes.length, pointerSize: 130 } } : {};
      return { type: "file", path, size: bytes.length, oid: blobHash(bytes), ...lfs };
    });
    json(response, [...list, { type: "file", path: "pytorch_model.bin", size: 2 ** 40, oid: "0" }]);
    return;
  }
  const name = pathname.startsWith(`/some/model/resolve/${commit}/`) ? pathname.split("/").at(-1) : pathname.slice(1);
  const bytes = served.files.get(name ?? "");
  if (bytes === undefined) {
    response.writeHead(404).end();
    return;
  }
  sendFile(request, response, served.spoil?.(name ?? "", bytes) ?? bytes);
};
