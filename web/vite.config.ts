import { defineConfig } from 'vite';
import { svelte } from '@sveltejs/vite-plugin-svelte';

// One script and one style sheet: `abatis page` puts both into a single HTML file.
export default defineConfig({
  base: './',
  plugins: [svelte()],
  build: {
    outDir: '../src/abatis/show/app/static',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 4000,
    modulePreload: false,
    rolldownOptions: { output: { codeSplitting: false } },
  },
  worker: { format: 'es' },
  server: { proxy: { '/api': 'http://127.0.0.1:8000' } },
});
