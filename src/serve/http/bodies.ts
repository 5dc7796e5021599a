/**
 * Bodies of requests. All of them share a budget of memory, from their first byte until their request is answered: a client
 * that opens many connections can fill it, and gets no more. Bytes count when they come, since a header that names a length
 * costs nothing to send. A body that comes too slowly is given up, so nobody holds the budget by sending nothing.
 */
import { HttpError } from "./http-error.ts";

export interface BodyLimits {
  /** Most bytes of all bodies together. */
  readonly mostTogether: number;
  /** In each period of so many milliseconds … */
  readonly periodMs: number;
  /** … at least so many bytes of a body must come, or its end. */
  readonly leastBytes: number;
}

/** Three of the largest texts at a time; a slow mobile connection is fast enough. */
export const bodyLimits: BodyLimits = { mostTogether: 200 * 2 ** 20, periodMs: 10_000, leastBytes: 2 ** 16 };

export interface Bodies {
  /**
   * The body of a request. Its share of the budget stays taken until `release`.
   * @param most bytes; more are not read.
   * @throws HttpError for too many bytes, a budget that is spent, and a body that comes too slowly.
   */
  read(request: Request, most: number): Promise<Uint8Array>;
  /** The request is answered, or its connection has ended. */
  release(request: Request): void;
  /** Bytes of the budget that are taken. */
  taken(): number;
}

/** Bytes by which a body's memory grows: by as much as it has, within these. */
const leastGrowth = 2 ** 12;
const mostGrowth = 2 ** 20;

/** Memory that grows in place, and goes back to the system at once: what is left to the garbage collector may stay for minutes. */
interface Resizable extends ArrayBuffer {
  resize(bytes: number): void;
}
const newResizable = (most: number): Resizable => {
  const Buffer = ArrayBuffer as unknown as new (
    bytes: number,
    options: { readonly maxByteLength: number },
  ) => Resizable;
  return new Buffer(0, { maxByteLength: most });
};

const tooLarge = (most: number): HttpError =>
  new HttpError(413, `the request must have at most ${most} bytes; got more; try a smaller text, or one of a folder`);

const spent = (most: number): HttpError =>
  new HttpError(503, `all requests together must have at most ${most} bytes; got more; try again in some seconds`);

const tooSlow = (bytes: number, { leastBytes, periodMs }: BodyLimits): HttpError => {
  const must = `the body of a request must come with at least ${leastBytes} bytes in ${periodMs / 1000} s`;
  return new HttpError(408, `${must}; got ${bytes}; try again`);
};

/** Collects pieces. They are copied: thousands of small ones would take many times their bytes. */
const createCollector = (most: number, reserve: (bytes: number) => void) => {
  const memory = newResizable(most);
  let bytes = 0;
  let isDropped = false;
  return {
    add(piece: Uint8Array): void {
      if (isDropped) return;
      const needed = bytes + piece.length;
      if (needed > memory.byteLength) {
        const roomy = memory.byteLength + Math.min(Math.max(memory.byteLength, leastGrowth), mostGrowth);
        const grown = Math.min(Math.max(needed, roomy), most);
        reserve(grown - memory.byteLength);
        memory.resize(grown);
      }
      new Uint8Array(memory).set(piece, bytes);
      bytes = needed;
    },
    all: (): Uint8Array => new Uint8Array(memory, 0, bytes).slice(),
    drop(): void {
      isDropped = true;
      memory.resize(0);
    },
  };
};

/** Calls `check` with the bytes that have come in each period; `failed` rejects once it throws. */
const watchPace = (periodMs: number, check: (bytes: number) => void) => {
  let came = 0;
  let timer: NodeJS.Timeout | undefined;
  const failed = new Promise<never>((_, reject) => {
    timer = setInterval(() => {
      try {
        check(came);
        came = 0;
      } catch (error) {
        reject(error);
      }
    }, periodMs);
  });
  return {
    failed,
    add: (bytes: number): void => {
      came += bytes;
    },
    end: (): void => clearInterval(timer),
  };
};

export const createBodies = (limits: BodyLimits = bodyLimits): Bodies => {
  const { mostTogether, periodMs, leastBytes } = limits;
  let taken = 0;
  const shares = new WeakMap<Request, { bytes: number }>();

  const release = (request: Request): void => {
    taken -= shares.get(request)?.bytes ?? 0;
    shares.delete(request);
  };

  const collect = async (request: Request, most: number): Promise<Uint8Array> => {
    const share = { bytes: 0 };
    shares.set(request, share);
    const collector = createCollector(most, (bytes) => {
      // Its connection has ended meanwhile: nobody would release more.
      request.signal.throwIfAborted();
      if (taken + bytes > mostTogether) throw spent(mostTogether);
      share.bytes += bytes;
      taken += bytes;
    });
    const pace = watchPace(periodMs, (bytes) => {
      if (bytes < leastBytes) throw tooSlow(bytes, limits);
    });
    // Never cancelled: that would end the connection before the answer is sent. What is not read then is thrown away.
    const reader = request.body?.getReader();
    const readAll = async (): Promise<Uint8Array> => {
      for (let bytes = 0; ; ) {
        const piece = (await reader?.read())?.value;
        if (piece === undefined) return collector.all();
        bytes += piece.length;
        if (bytes > most) throw tooLarge(most);
        collector.add(piece);
        pace.add(piece.length);
      }
    };
    try {
      return await Promise.race([readAll(), pace.failed]);
    } finally {
      pace.end();
      collector.drop();
      // Ends a read that waits.
      reader?.releaseLock();
    }
  };

  return {
    async read(request, most) {
      // Without a length the body says itself where it ends.
      const length = Number(request.headers.get("content-length") ?? most);
      if (length > most) throw tooLarge(most);
      try {
        return await collect(request, length);
      } catch (error) {
        release(request);
        throw error;
      }
    },
    release,
    taken: () => taken,
  };
};
