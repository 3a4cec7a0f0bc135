import { describe, expect, it } from 'vitest';
import { containerProcess } from './container-process.ts';

const defaults = { Entrypoint: ['/entry'], Cmd: ['serve'], Env: ['A=1', 'PATH=/x'], WorkingDir: '/srv', User: 'www' };

describe('containerProcess', () => {
  it('joins entrypoint and cmd', () => {
    expect(containerProcess(defaults, { command: [], env: [] })).toEqual({
      argv: ['/entry', 'serve'],
      env: { A: '1', PATH: '/x' },
      cwd: '/srv',
      user: 'www',
    });
  });

  it('replaces cmd by the words given', () => {
    expect(containerProcess(defaults, { command: ['sh'], env: [] }).argv).toEqual(['/entry', 'sh']);
  });

  it('drops cmd with a new entrypoint', () => {
    expect(containerProcess(defaults, { command: [], entrypoint: '/bin/sh', env: [] }).argv).toEqual(['/bin/sh']);
    expect(containerProcess(defaults, { command: ['ls'], entrypoint: '', env: [] }).argv).toEqual(['ls']);
  });

  it('lets later variables win and gives a PATH', () => {
    expect(containerProcess({}, { command: ['x'], env: ['A=1', 'A=2', 'B=x=y'] }).env).toEqual({
      A: '2',
      B: 'x=y',
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    });
  });

  it('refuses to start nothing', () => {
    expect(() => containerProcess({}, { command: [], env: [] })).toThrow(
      expect.objectContaining({ code: 'CONTAINER_NO_COMMAND' }),
    );
  });
});
