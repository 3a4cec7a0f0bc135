// As kiln-build.ts, for `kiln run`.
import { useCodeCache } from './code-cache.ts';

useCodeCache();
const { main } = await import('./main-of-run.ts');
process.exit(await main(process));
