import { defineConfig } from "vite";

// These headers make the page cross-origin isolated, so that WebAssembly may use threads. The server of the built page
// must also send these headers.
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default defineConfig({
  // Paths are relative, because the built page may be in any folder of a server.
  base: "./",
  server: { port: 3000, headers },
  preview: { port: 3000, headers },
  // The library is one file that includes its kernels. The file has 1.8 MB, or 0.7 MB compressed.
  build: { chunkSizeWarningLimit: 2500 },
});
