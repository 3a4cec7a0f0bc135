// As kiln.ts, for `kiln build`: all that a build always needs is one file, dist/build.js' only chunk. Finding seventy
// files takes longer than a build in which nothing changed.
import { useCodeCache } from './code-cache.ts';

useCodeCache();
const { main } = await import('./main-of-build.ts');
process.exit(await main(process));
