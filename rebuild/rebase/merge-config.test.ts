import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { envTable } from '../../builder/index.ts';
import type { ContainerDefaults } from '../../core/index.ts';
import { mergeConfig, mergeTable } from './merge-config.ts';

const messages = (old: ContainerDefaults, image: ContainerDefaults, fresh: ContainerDefaults) =>
  mergeConfig(old, image, fresh).reasons.map(({ message }) => message);

describe('mergeConfig', () => {
  it('takes what the image has from its base out of the new one, and leaves its own', () => {
    const old = { Env: ['PATH=/bin', 'VERSION=1', 'MODE=base'], Labels: { base: '1' }, ExposedPorts: { '80/tcp': {} } };
    const image = {
      ...old,
      Env: ['PATH=/bin', 'VERSION=1', 'MODE=app', 'APP=x'],
      Labels: { base: '1', app: 'x' },
      Cmd: ['serve'],
    };
    const fresh = {
      Env: ['PATH=/bin', 'VERSION=2', 'MODE=other', 'MORE=y'],
      Labels: { base: '2' },
      Volumes: { '/d': {} },
    };

    const { config, reasons, notes } = mergeConfig(old, image, fresh);

    expect(reasons).toEqual([]);
    expect(config).toEqual({
      Env: ['PATH=/bin', 'VERSION=2', 'MODE=app', 'APP=x', 'MORE=y'],
      Labels: { base: '2', app: 'x' },
      Volumes: { '/d': {} },
      Cmd: ['serve'],
    });
    expect(notes).toEqual(['MODE stays app: the image sets it itself', 'VERSION changes with the base: 1 → 2']);
  });

  it.each(['User', 'WorkingDir', 'StopSignal'] as const)('refuses when %s is the base’s and changes', (key) => {
    expect(messages({ [key]: 'a' }, { [key]: 'a' }, { [key]: 'b' })).toEqual([
      `${key} is the base's, and changes: a → b`,
    ]);
    expect(messages({}, {}, { [key]: 'b' })).toEqual([`${key} is the base's, and changes: nothing → b`]);
    expect(messages({ [key]: 'a' }, { [key]: 'own' }, { [key]: 'b' })).toEqual([]);
    expect(mergeConfig({ [key]: 'a' }, { [key]: 'own' }, { [key]: 'b' }).config).toEqual({ [key]: 'own' });
  });

  it.each(['Entrypoint', 'Cmd', 'Shell'] as const)('refuses when %s is the base’s and changes', (key) => {
    expect(messages({ [key]: ['a'] }, { [key]: ['a'] }, { [key]: ['b'] })).toHaveLength(1);
    expect(messages({ [key]: ['a'] }, { [key]: ['own'] }, { [key]: ['b'] })).toEqual([]);
  });

  it('does not mind the base’s arguments for an entrypoint of the image’s own', () => {
    expect(messages({ Cmd: ['a'] }, { Cmd: ['a'], Entrypoint: ['/app'] }, { Cmd: ['b'] })).toEqual([]);
  });

  it.each(['PATH', 'LD_LIBRARY_PATH', 'PYTHONPATH', 'JAVA_HOME'])(
    'refuses when %s is the base’s and changes',
    (name) => {
      expect(messages({ Env: [`${name}=/a`] }, { Env: [`${name}=/a`] }, { Env: [`${name}=/b`] })).toEqual([
        `${name} is the base's, and changes: /a → /b`,
      ]);
    },
  );

  it('refuses when a variable of the base’s is gone, unless the image gave it up as well', () => {
    expect(messages({ Env: ['A=1'] }, { Env: ['A=1'] }, {})).toEqual([
      `A=1 is the base's, and the new base does not have it`,
    ]);
    expect(messages({ Env: ['A=1'] }, {}, {})).toEqual([]);
    expect(messages({ Env: ['A=1'] }, { Env: ['A=2'] }, {})).toEqual([]);
  });

  it('refuses when a variable was made out of the base’s', () => {
    expect(messages({ Env: ['PATH=/bin'] }, { Env: ['PATH=/app:/bin'] }, { Env: ['PATH=/bin:/sbin'] })).toEqual([
      'PATH was made out of the base’s, which changes: /bin → /bin:/sbin'.replace('’', "'"),
    ]);
  });

  it('changes nothing when the base does not', () => {
    const env = fc.dictionary(fc.constantFrom('A', 'B', 'PATH'), fc.string());
    const defaults = fc
      .record({ Env: env, User: fc.string(), Cmd: fc.array(fc.string()), Labels: env }, { requiredKeys: [] })
      .map(({ Env, ...rest }) => ({
        ...rest,
        ...(Env === undefined ? {} : { Env: Object.entries(Env).map((pair) => pair.join('=')) }),
      }));
    fc.assert(
      fc.property(defaults, defaults, (base, image) => {
        const { config, reasons } = mergeConfig(base, image, base);

        expect(reasons).toEqual([]);
        expect({ ...config, Env: envTable(config.Env), Labels: config.Labels ?? {} }).toEqual({
          ...image,
          Env: envTable(image.Env),
          Labels: image.Labels ?? {},
        });
      }),
    );
  });

  it('merges tables key by key: own values stay, others are the new base’s', () => {
    const table = fc.dictionary(fc.constantFrom('a', 'b', 'c', '__proto__'), fc.constantFrom('1', '2'));
    fc.assert(
      fc.property(table, table, table, (old, image, fresh) => {
        const merged = mergeTable(old, image, fresh) ?? {};
        for (const key of ['a', 'b', 'c', '__proto__']) {
          const [was, own, is, got] = [old, image, fresh, merged].map((one) =>
            Object.hasOwn(one, key) ? one[key] : undefined,
          );
          expect(got).toBe(own === was ? is : own);
        }
      }),
    );
  });
});
