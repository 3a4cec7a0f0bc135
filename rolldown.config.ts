import { existsSync } from 'node:fs';
import path from 'node:path';

/**
 * To import a builtin evaluates all its exports, and some of http's load undici for 15 ms; to get it does not. axios asks
 * for these by their old names.
 */
const gotBuiltins = {
  name: 'got-builtins',
  resolveId: (id: string) => (/^(?:node:)?https?$/.test(id) ? `\0${id.replace('node:', '')}` : null),
  load: (id: string) =>
    /^\0https?$/.test(id)
      ? `const found = process.getBuiltinModule('node:${id.slice(1)}');
export default found;
export const { Agent, createServer, request } = found;`
      : null,
};

/** axios looks at globals of fetch when it is loaded, which load undici, too. Kiln uses its adapter for http only. */
const withoutFetch = {
  name: 'without-fetch',
  resolveId: (id: string, importer = '') =>
    id === './fetch.js' && importer.endsWith('/axios/lib/adapters/adapters.js') ? '\0without-fetch' : null,
  load: (id: string) => (id === '\0without-fetch' ? 'export const getFetch = () => undefined;' : null),
  transform: (code: string, id: string) =>
    id.endsWith('/axios/lib/utils.js') ? code.replaceAll('G.FormData', 'undefined') : null,
};

const plugins = [gotBuiltins, withoutFetch];

const common = {
  cwd: import.meta.dirname,
  plugins,
  platform: 'node' as const,
  // @iarna/toml asks for Node's inspect in a way that bundlers would not see. What one command loads late, another one's
  // bundle has at once.
  checks: { eval: false, ineffectiveDynamicImport: false },
  treeshake: {
    // No module of ours, nor of the packages we use, does anything by being loaded; except the executable's entry.
    moduleSideEffects: (id: string) => /\/cli\/kiln(?:-build|-run|-transfer)?\.ts$/.test(id),
  },
};

const output = { dir: 'dist', format: 'esm' as const, entryFileNames: '[name].js' };

const parts = ['builder', 'registry', 'runtime', 'rebuild'];

/**
 * The shipped JavaScript, in five bundles: the command line, whose chunks are by what is used together so that what a
 * command does not use is not even read; the commands that people wait for most, with all that they always need in one
 * chunk (push, pull and copy share a bundle); and the library entries, which use all of their parts and in one bundle with the command line would make
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
  commandBundle('transfer'),
  {
    ...common,
    input: Object.fromEntries(parts.filter(isWritten).map((part) => [part, `${part}/index.ts`])),
    output: { ...output, chunkFileNames: 'library/[name]-[hash].js' },
  },
];

/** `cli/kiln-NAME.ts`, and beside what that needs itself all that `cli/main-of-NAME.ts` always needs in one chunk. */
function commandBundle(name: string) {
  let first: ReadonlySet<string> = new Set();
  let always: ReadonlySet<string> = new Set();
  const findNeeded = {
    name: 'find-needed',
    buildEnd(this: ModuleGraph) {
      first = neededBy(this, `cli/kiln-${name}.ts`);
      always = neededBy(this, `cli/main-of-${name}.ts`);
    },
  };
  return {
    ...common,
    input: { [name]: `cli/kiln-${name}.ts` },
    plugins: [...plugins, findNeeded],
    output: {
      ...output,
      chunkFileNames: `chunks-${name}/[name]-[hash].js`,
      codeSplitting: {
        groups: [
          { name: 'first', test: (id: string) => first.has(id) && always.has(id), priority: 2 },
          { name: 'always', test: (id: string) => always.has(id), priority: 1 },
        ],
      },
    },
  };
}

interface ModuleGraph {
  getModuleInfo(id: string): { readonly importedIds: readonly string[] } | null;
}

/** A module and all that it imports at once. */
function neededBy(graph: ModuleGraph, file: string): ReadonlySet<string> {
  const needed = new Set([path.join(import.meta.dirname, file)]);
  for (const id of needed) for (const imported of graph.getModuleInfo(id)?.importedIds ?? []) needed.add(imported);
  return needed;
}

function isWritten(part: string): boolean {
  return existsSync(path.join(import.meta.dirname, part, 'index.ts'));
}
