import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

/** Beside the pages, because they contain noVNC (MPL-2.0, section 3.2). */
const notice: Plugin = {
  name: 'notice',
  async generateBundle() {
    const source = await readFile(join(import.meta.dirname, 'NOTICE'), 'utf8')
    this.emitFile({ type: 'asset', fileName: 'notice.txt', source })
  },
}

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react(), notice],
  build: {
    // noVNC awaits at the top level of a module.
    target: 'es2022',
    // `script-src 'self'; style-src 'self'` (no inline anything): every asset is a file.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.txt' },
    rolldownOptions: {
      input: ['index.html', 'connect.html'],
      // Of the contract the pages need its words, not its schemas: without this zod comes along.
      treeshake: { moduleSideEffects: [{ test: /\/packages\/contract\//, sideEffects: false }] },
    },
  },
})
