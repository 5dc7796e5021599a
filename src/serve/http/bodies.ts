/**
 * Reads the bodies of requests. All bodies share a memory budget, from their first byte until the server has answered
 * their request. A client that opens many connections can use up the budget, but no more memory. Bytes count when they
 * arrive; a Content-Length header alone reserves nothing. A body that arrives too slowly is rejected. So no client can
 * occupy the budget by sending nothing.
 */
import { HttpError } from "./http-error.ts";

export interface BodyLimits {
  /** Maximum number of bytes of all bodies together. */
  readonly mostTogether: number;
  /** Length of a period in milliseconds. In each period, the speed of a body is checked. */
  readonly periodMs: number;
  /**
   * Minimum number of bytes of a body that must arrive in each period. The last period of a body may have fewer bytes.
   */
  readonly leastBytes: number;
}

/** The budget is enough for three of the largest texts at a time. The minimum speed allows slow mobile connections. */
export const bodyLimits: BodyLimits = { mostTogether: 200 * 2 ** 20, periodMs: 10_000, leastBytes: 2 ** 16 };

export interface Bodies {
  /**
   * Reads the body of a request. The request's share of the budget stays in use until `release`.
   * @param most maximum number of bytes.
   * @throws HttpError if the body is too large or arrives too slowly, or if the budget is used up.
   */
  read(request: Request, most: number): Promise<Uint8Array>;
  /**
   * Frees the request's share of the budget. Call this function when the request has been answered or its connection
   * has ended.
   */
  release(request: Request): void;
  /** Number of bytes of the budget in use. */
  taken(): number;
}

/**
 * Limits for a body's buffer. A full buffer doubles, but grows by at least `leastGrowth` and at most `mostGrowth`
 * bytes.
 */
const leastGrowth = 2 ** 12;
const mostGrowth = 2 ** 20;

/**
 * A buffer that grows in place and returns its memory to the system at once. For an ordinary buffer, the garbage
 * collector could keep the memory for minutes.
 */
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
  new HttpError(
    413,
    `the request must have at most ${most} bytes; got more; try a smaller text, or a text of the folder given by --texts`,
  );

const spent = (most: number): HttpError =>
  new HttpError(
    503,
    `the bodies of all requests together must have at most ${most} bytes; got more; try again in some seconds`,
  );

const tooSlow = (bytes: number, { leastBytes, periodMs }: BodyLimits): HttpError => {
  const must = `the body of a request must arrive at a rate of at least ${leastBytes} bytes in ${periodMs / 1000} s`;
  return new HttpError(408, `${must}; got ${bytes}; try again`);
};

/**
 * Collects the pieces of a body in one buffer. Thousands of small separate pieces would use many times the memory of
 * their bytes.
 */
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

/**
 * After each period, calls `check` with the number of bytes that arrived in the period. `failed` rejects if `check`
 * throws.
 */
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
      // If the connection has already ended, do not count the bytes, because no later event would release them.
      request.signal.throwIfAborted();
      if (taken + bytes > mostTogether) throw spent(mostTogether);
      share.bytes += bytes;
      taken += bytes;
    });
    const pace = watchPace(periodMs, (bytes) => {
      if (bytes < leastBytes) throw tooSlow(bytes, limits);
    });
    // Never cancel the reader, because that would end the connection before the response is sent. Unread bytes are
    // discarded.
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
      // Ends a pending read.
      reader?.releaseLock();
    }
  };

  return {
    async read(request, most) {
      // Without Content-Length, the body itself marks its end.
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
