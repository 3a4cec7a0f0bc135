import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import path from 'node:path';
import { currentUser, storeHome } from './paths.ts';

/**
 * Keeps what V8 made of our code in the store, which nobody else can write to; in one that is not there yet, nothing is
 * made. For modules that are loaded afterwards.
 */
export function useCodeCache(): void {
  const home = storeHome(process.env, currentUser(), process.cwd());
  if (existsSync(path.join(home, 'content'))) enableCompileCache(path.join(home, 'code'));
}
