import { describe, expect, it } from 'vitest';
import { useAllCores } from './all-cores.ts';

describe('useAllCores', () => {
  it('asks for a thread for each core and two more, where those are more than usual', () => {
    const sizes = [2, 4, 8, 500].map((cores) => {
      const env: NodeJS.ProcessEnv = {};
      useAllCores(env, cores);
      return env.UV_THREADPOOL_SIZE;
    });

    expect(sizes).toEqual([undefined, '6', '10', '32']);
  });

  it('leaves what the user set', () => {
    const env: NodeJS.ProcessEnv = { UV_THREADPOOL_SIZE: '2' };

    useAllCores(env, 16);

    expect(env.UV_THREADPOOL_SIZE).toBe('2');
  });
});
