// Messages for the visitor about what the browser or the server lacks for fast training.

const headers = "Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp";
const slowly = "Therefore the page trains a smaller model, slowly, in plain JavaScript.";

export interface Obstacle {
  readonly title: string;
  readonly text: string;
  /** True if the obstacle makes training impossible; false if it makes training slow. */
  readonly stops: boolean;
}

/** Finds the obstacles in a page with the global object `scope`. */
export const findObstacles = (scope: Partial<typeof globalThis>): readonly Obstacle[] => {
  const found: Obstacle[] = [];
  if (typeof scope.Worker === "undefined") {
    found.push({
      title: "This browser has no web workers",
      text: "The model needs a worker, so that the page stays responsive. Please open the page in another browser.",
      stops: true,
    });
  }
  if (typeof scope.WebAssembly === "undefined") {
    found.push({
      title: "This browser has no WebAssembly",
      text: `WebAssembly may be switched off, for example in a lockdown mode. ${slowly}`,
      stops: false,
    });
  }
  if (scope.isSecureContext === false) {
    found.push({
      title: "This page was not served securely",
      text: `Only a page from https: or from localhost may use threads. ${slowly}`,
      stops: false,
    });
  } else if (scope.crossOriginIsolated !== true) {
    found.push({
      title: "This page is not cross-origin isolated",
      text: `The server of this page must send the headers ${headers}. The server that npm start starts sends these headers. ${slowly}`,
      stops: false,
    });
  }
  return found;
};
