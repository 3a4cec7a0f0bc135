import { availableParallelism } from 'node:os';

/** What libuv's pool has unless told. */
const usualThreads = 4;
const mostThreads = 32;

/** Lets compression use every core. The pool reads its size when it is first used: call this before anything else. */
export function useAllCores(env: NodeJS.ProcessEnv, cores = availableParallelism()): void {
  // One for each core, one that is ready when another ends, and one for reading.
  const wanted = Math.min(cores + 2, mostThreads);
  if (wanted > usualThreads) env.UV_THREADPOOL_SIZE ??= String(wanted);
}
