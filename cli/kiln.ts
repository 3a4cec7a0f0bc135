// The executable's entry: bin/kiln runs it, bundled, as dist/cli.js.
import { useCodeCache } from './code-cache.ts';

useCodeCache();
const { main } = await import('./main.ts');
// exit, not exitCode: an idle connection or helper process must not keep a finished command waiting.
process.exit(await main(process));
