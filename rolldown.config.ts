import { existsSync } from 'node:fs';
import path from 'node:path';

const common = {
  cwd: import.meta.dirname,
  platform: 'node' as const,
  // @iarna/toml asks for Node's inspect in a way that bundlers would not see.
  checks: { eval: false },
  treeshake: {
    // No module of ours, nor of the packages we use, does anything by being loaded; except the executable's entry.
    moduleSideEffects: (id: string) => id.endsWith('cli/kiln.ts'),
  },
};

const output = { dir: 'dist', format: 'esm' as const, entryFileNames: '[name].js' };

const parts = ['builder', 'registry', 'runtime', 'rebuild'];

/**
 * The shipped JavaScript, in two bundles: the command line, whose chunks are by what is used together so that what a
 * command does not use is not even read; and the library entries, which use all of their parts and in one bundle with
 * the command line would make big chunks of it.
 */
export default [
  {
    ...common,
    input: { cli: 'cli/kiln.ts' },
    output: { ...output, chunkFileNames: 'chunks/[name]-[hash].js' },
  },
  {
    ...common,
    input: Object.fromEntries(parts.filter(isWritten).map((part) => [part, `${part}/index.ts`])),
    output: { ...output, chunkFileNames: 'library/[name]-[hash].js' },
  },
];

function isWritten(part: string): boolean {
  return existsSync(path.join(import.meta.dirname, part, 'index.ts'));
}
