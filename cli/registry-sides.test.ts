import { describe, expect, it } from 'vitest';
import { splitWords } from './argv.ts';
import { copy } from './commands/copy.ts';
import { parseInvocation } from './program.ts';
import { registryFlags } from './registry-flags.ts';
import { flagsOfSide } from './registry-sides.ts';

function flagsOf(...words: readonly string[]) {
  const entry = { name: 'copy', summary: '', group: 'Registries' as const, load: async () => copy };
  const invocation = parseInvocation(entry, copy, [...words, 'a', 'b']);
  if (invocation.kind !== 'run') throw new TypeError();
  return invocation.flags;
}

describe('flags of two sides', () => {
  it('are there for each flag of a registry but --debug, and its letter is not', () => {
    const words = Object.keys(registryFlags).filter((name) => name !== 'debug');
    for (const name of words) for (const side of ['src', 'dest']) expect(copy.flags).toHaveProperty(`${side}-${name}`);
    expect(() => splitWords('copy', copy, ['--src-debug'])).toThrow(/no flag/);
  });

  it('count for their side, and else what was said for both', () => {
    const flags = flagsOf(
      '--src-plain-http',
      '--dest-tls-verify=false',
      '--authfile',
      'both',
      '--dest-authfile',
      'own',
    );

    expect(flagsOfSide(flags, 'src')).toMatchObject({ 'plain-http': true, authfile: 'both' });
    expect(flagsOfSide(flags, 'src')['tls-verify']).toBeUndefined();
    expect(flagsOfSide(flags, 'dest')).toMatchObject({ 'plain-http': false, 'tls-verify': false, authfile: 'own' });
  });
});
