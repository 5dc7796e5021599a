import { defineConfig } from "vite";

// They make the page cross-origin isolated: so WebAssembly may use threads. A server of the built page must send them, too.
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default defineConfig({
  // The built page may lie in any folder of a server.
  base: "./",
  server: { port: 3000, headers },
  preview: { port: 3000, headers },
  // The library is one file, with its kernels: 1.7 MB, 0.7 compressed.
  build: { chunkSizeWarningLimit: 2500 },
});
