import { describe, expect, it } from 'vitest';
import type { BootstrapSource } from '../plan/plan.ts';
import { installSteps } from './variants.ts';

const source: BootstrapSource = {
  kind: 'bootstrap',
  distribution: 'debian',
  suite: 'bookworm',
  variant: 'minbase',
  security: true,
  include: [],
};

describe('installSteps', () => {
  it('asks for the essential packages of the suite first, then for those of the variant and the included ones', () => {
    const steps = installSteps({ ...source, include: ['ca-certificates'] }, 'amd64');

    const narrow = '?narrow(?or(?archive(^bookworm$),?codename(^bookworm$)),?architecture(amd64),';
    expect(steps.essential).toEqual(['install', `${narrow}?essential)`]);
    expect(steps.further).toEqual(['ca-certificates', `${narrow}?and(?priority(required),?not(?essential)))`]);
  });

  it('adds nothing to the essential packages when nothing is asked for', () => {
    expect(installSteps({ ...source, variant: 'essential' }, 'amd64').further).toEqual([]);
    expect(installSteps({ ...source, variant: 'apt' }, 'amd64').essential).toEqual(['dist-upgrade']);
  });

  it('refuses a variant that it does not know, and lists those it does', () => {
    expect(() => installSteps({ ...source, variant: 'custom' }, 'amd64')).toThrow(
      expect.objectContaining({ code: 'BOOTSTRAP_INVALID', hint: expect.stringContaining('minbase') }),
    );
    expect(() => installSteps({ ...source, variant: 'constructor' }, 'amd64')).toThrow('not a variant');
  });

  it.each([
    '-y',
    '--option=x',
    'apt-',
    './x.deb',
    '/x.deb',
    '?essential',
    '~n.',
    'a b',
    'a,b',
    'apt/sid',
    'A',
    'nginx=',
    '',
  ])('refuses %j as a package', (name) => {
    expect(() => installSteps({ ...source, include: [name] }, 'amd64')).toThrow('is not a package name');
  });

  it.each(['g++', 'libstdc++6', 'python3.11', 'libc6:i386', 'nginx=1.22.1-9+deb12u1', 'xz=2:1.0~rc1-1'])(
    'accepts %j as a package',
    (name) => {
      expect(installSteps({ ...source, include: [name] }, 'amd64').further).toContain(name);
    },
  );

  it.each(['../x', '', '-x', 'a b', 'sid$)', '.'])('refuses %j as a suite', (suite) => {
    expect(() => installSteps({ ...source, suite }, 'amd64')).toThrow('no name of a distribution or suite');
  });
});
