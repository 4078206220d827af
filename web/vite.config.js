import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  // The page may also be served under a path by somebody's proxy.
  base: './',
  build: {
    outDir: '../dist/web',
    emptyOutDir: true,
    target: 'es2022',
    // Every file is one of its own: the server lets nothing be inlined.
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: false,
    // Of the libraries that the bundle holds.
    license: { fileName: 'LICENSES.md' },
  },
  logLevel: 'warn',
});
