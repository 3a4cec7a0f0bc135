// As kiln.ts, for `kiln build`: all that a build always needs is one file, dist/build.js' only chunk. Finding seventy
// files takes longer than a build in which nothing changed; and that one needs not even the chunk.
import { writeSync } from 'node:fs';
import { useAllCores } from './all-cores.ts';
import { useCodeCache } from './code-cache.ts';
import { findUnchangedBuild } from './unchanged-build.ts';

const unchanged = findUnchangedBuild(process);
if (unchanged === undefined) {
  useAllCores(process.env);
  useCodeCache();
  const { main } = await import('./main-of-build.ts');
  process.exit(await main(process));
}
try {
  writeSync(2, unchanged.err);
  writeSync(1, unchanged.out);
} catch {
  // Whoever reads wanted no more.
}
