// As kiln-build.ts, for `kiln push`, `kiln pull` and `kiln copy`.
import { useAllCores } from './all-cores.ts';
import { useCodeCache } from './code-cache.ts';

useAllCores(process.env);
useCodeCache();
const { main } = await import('./main-of-transfer.ts');
process.exit(await main(process));
