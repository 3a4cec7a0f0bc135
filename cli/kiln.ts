// The executable's entry: bin/kiln runs it, bundled, as dist/cli.js.
import { useAllCores } from './all-cores.ts';
import { useCodeCache } from './code-cache.ts';

useAllCores(process.env);
useCodeCache();
const { main } = await import('./main.ts');
// exit, not exitCode: an idle connection or helper process must not keep a finished command waiting.
process.exit(await main(process));
