// What the browser or the page's server lacks for fast training, in words for whoever opens the page.

const headers = "Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp";
const slowly = "So the page trains a smaller model, slowly, in plain JavaScript.";

export interface Obstacle {
  readonly title: string;
  readonly text: string;
  /** Whether it makes training impossible; with any other it is slow. */
  readonly stops: boolean;
}

/** The obstacles that are there, in the page with this global object. */
export const findObstacles = (scope: Partial<typeof globalThis>): readonly Obstacle[] => {
  const found: Obstacle[] = [];
  if (typeof scope.Worker === "undefined") {
    found.push({
      title: "This browser has no web workers",
      text: "The model computes in a worker, so that the page goes on answering. Please open the page in another browser.",
      stops: true,
    });
  }
  if (typeof scope.WebAssembly === "undefined") {
    found.push({
      title: "This browser has no WebAssembly",
      text: `It may be switched off, as in a lockdown mode. ${slowly}`,
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
      text: `Its server must send the headers ${headers}; npm start does. ${slowly}`,
      stops: false,
    });
  }
  return found;
};
