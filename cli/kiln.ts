// The executable's entry: bin/kiln runs it, bundled, as dist/cli.js.
import { main } from './main.ts';

// exit, not exitCode: an idle connection or helper process must not keep a finished command waiting.
process.exit(await main(process));
