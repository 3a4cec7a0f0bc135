import { describe, expect, it } from 'vitest';
import { changedDefaults } from './image-changes.ts';
import { joinWorkdir, scratchState, withEnv } from './stage-state.ts';

const inherited = {
  ...scratchState,
  config: { Entrypoint: ['/e'], Cmd: ['c'], Env: ['A=1'], Labels: { a: '1' }, User: 'www' },
};

describe('changedDefaults', () => {
  it('keeps what is not mentioned', () => {
    expect(changedDefaults(inherited, {})).toEqual(inherited.config);
  });

  it('drops an inherited cmd with a new entrypoint', () => {
    expect(changedDefaults(inherited, { entrypoint: ['/new'] })).not.toHaveProperty('Cmd');
    expect(changedDefaults(inherited, { entrypoint: ['/new'], cmd: ['x'] })).toMatchObject({
      Entrypoint: ['/new'],
      Cmd: ['x'],
    });
  });

  it('merges env and labels, replaces the rest', () => {
    const changed = changedDefaults(inherited, {
      env: { A: '2', B: 'x=y' },
      labels: { b: '2' },
      ports: ['80/tcp', '443/tcp'],
      volumes: ['/data'],
    });

    expect(changed).toMatchObject({
      Env: ['A=2', 'B=x=y'],
      Labels: { a: '1', b: '2' },
      ExposedPorts: { '443/tcp': {}, '80/tcp': {} },
      Volumes: { '/data': {} },
    });
  });

  it('writes a healthcheck as Docker reads it', () => {
    const check = { cmd: { kind: 'script', script: 'curl x' }, intervalMs: 1500, retries: 3 } as const;

    expect(changedDefaults(scratchState, { healthcheck: check }).Healthcheck).toEqual({
      Test: ['CMD-SHELL', 'curl x'],
      Interval: 1.5e9,
      Retries: 3,
    });
    expect(
      changedDefaults({ ...scratchState, shell: ['/bin/bash', '-c'] }, { healthcheck: check }).Healthcheck,
    ).toMatchObject({
      Test: ['CMD', '/bin/bash', '-c', 'curl x'],
    });
  });
});

describe('withEnv', () => {
  it('keeps the place of a name that is set again', () => {
    expect(withEnv({ Env: ['A=1', 'B=2'] }, { A: '3', C: '4' }).Env).toEqual(['A=3', 'B=2', 'C=4']);
  });
});

describe('joinWorkdir', () => {
  it.each([
    [undefined, 'src', '/src'],
    ['/app', 'src/../lib/', '/app/lib'],
    ['/app', '/x/./y', '/x/y'],
    ['/app', '../../..', '/'],
  ])('%s and %s make %s', (before, folder, expected) => {
    expect(joinWorkdir(before === undefined ? {} : { WorkingDir: before }, folder)).toBe(expected);
  });
});
