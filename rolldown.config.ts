import { existsSync } from 'node:fs';
import path from 'node:path';

const common = {
  cwd: import.meta.dirname,
  platform: 'node' as const,
  // @iarna/toml asks for Node's inspect in a way that bundlers would not see. What one command loads late, another one's
  // bundle has at once.
  checks: { eval: false, ineffectiveDynamicImport: false },
  treeshake: {
    // No module of ours, nor of the packages we use, does anything by being loaded; except the executable's entry.
    moduleSideEffects: (id: string) => /\/cli\/kiln(?:-build|-run)?\.ts$/.test(id),
  },
};

const output = { dir: 'dist', format: 'esm' as const, entryFileNames: '[name].js' };

const parts = ['builder', 'registry', 'runtime', 'rebuild'];

/**
 * The shipped JavaScript, in four bundles: the command line, whose chunks are by what is used together so that what a
 * command does not use is not even read; the two commands that people wait for most, each with all that it always needs
 * in one chunk; and the library entries, which use all of their parts and in one bundle with the command line would make
 * big chunks of it.
 */
export default [
  {
    ...common,
    input: { cli: 'cli/kiln.ts' },
    output: { ...output, chunkFileNames: 'chunks/[name]-[hash].js' },
  },
  commandBundle('build'),
  commandBundle('run'),
  {
    ...common,
    input: Object.fromEntries(parts.filter(isWritten).map((part) => [part, `${part}/index.ts`])),
    output: { ...output, chunkFileNames: 'library/[name]-[hash].js' },
  },
];

/** `cli/kiln-NAME.ts`, and all that `cli/main-of-NAME.ts` always needs in one chunk. */
function commandBundle(name: string) {
  const always = new Set<string>();
  const findAlways = {
    name: 'find-always',
    buildEnd(this: { getModuleInfo(id: string): { importedIds: string[] } | null }) {
      always.add(path.join(import.meta.dirname, `cli/main-of-${name}.ts`));
      for (const id of always) for (const imported of this.getModuleInfo(id)?.importedIds ?? []) always.add(imported);
    },
  };
  return {
    ...common,
    input: { [name]: `cli/kiln-${name}.ts` },
    plugins: [findAlways],
    output: {
      ...output,
      chunkFileNames: `chunks-${name}/[name]-[hash].js`,
      codeSplitting: { groups: [{ name: 'always', test: (id: string) => always.has(id) }] },
    },
  };
}

function isWritten(part: string): boolean {
  return existsSync(path.join(import.meta.dirname, part, 'index.ts'));
}
