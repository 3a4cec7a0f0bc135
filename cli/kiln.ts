// The executable's entry: bin/kiln runs it, bundled, as dist/cli.js.
import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import path from 'node:path';
import { currentUser, storeHome } from './paths.ts';

// What V8 made of our code is kept in the store, which nobody else can write to; one that is not there is not made.
const home = storeHome(process.env, currentUser(), process.cwd());
if (existsSync(path.join(home, 'content'))) enableCompileCache(path.join(home, 'code'));

const { main } = await import('./main.ts');
// exit, not exitCode: an idle connection or helper process must not keep a finished command waiting.
process.exit(await main(process));
