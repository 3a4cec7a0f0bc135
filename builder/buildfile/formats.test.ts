import { describe, expect, it } from 'vitest';
import * as format from './formats.ts';

/** The texts that the check refuses. */
function refused(check: (text: string) => string | undefined, texts: readonly string[]): string[] {
  return texts.filter((text) => check(text) !== undefined);
}

describe('formats', () => {
  it.each<[string, (text: string) => string | undefined, readonly string[], readonly string[]]>([
    [
      'users',
      format.checkUser,
      ['root', '0', '1000:1000', 'www-data:www-data', '_apt', 'a.b:0', '4294967294'],
      ['', ':', 'a:', ':a', 'a:b:c', 'a b', '-1', '4294967295', '1a', 'a\n', 'ü', '../x'],
    ],
    [
      'modes',
      format.checkMode,
      ['755', '0755', '4755', '07777'],
      ['', '7', '8755', '0o755', 'u+x', '77777', '10000', ' 755'],
    ],
    [
      'durations',
      format.checkDuration,
      ['0s', '30s', '1m30s', '1.5h', '500ms', '1h2m3s4ms'],
      ['', '30', 's', '-1s', '1d', '1 s', '1..5s', '1'.repeat(50_000)],
    ],
    [
      'ports',
      format.checkPort,
      ['80', '80/tcp', '65535/udp', '1-2/sctp'],
      ['', '0', '65536', '80/icmp', '2-1', '80/TCP', '8080:80'],
    ],
    [
      'signals',
      format.checkSignal,
      ['SIGTERM', 'SIGRTMIN+3', '15', '64'],
      ['', 'TERM', '0', '65', 'SIGNAL', 'constructor'],
    ],
    [
      'copied paths',
      format.checkCopyPath,
      ['.', 'a/../b', '/a', '*.[ch]', './'],
      ['', '..', '../a', 'a/../../b', '/../a', '['],
    ],
    ['stages', format.checkStageName, ['a', 'A-1.b_c'], ['', '1', 'a b', '-a', 'a/b', 'a:b', 'scratch', '__proto__']],
    ['arguments', format.checkArgName, ['A', '_a1'], ['', '1A', 'A-B', 'A.B']],
    ['environment names', format.checkEnvName, ['A', 'with.dot'], ['', 'A=B', 'A\0']],
    [
      'packages',
      format.checkPackage,
      ['nginx', 'libc6:amd64', 'g++', 'xz=1:2.3-4~deb12u1'],
      ['', '-y', 'x-', 'A', 'a b', '../x', './x.deb'],
    ],
    ['suites', format.checkSuite, ['bookworm', 'noble', 'bookworm-backports'], ['', '-x', '../x', 'a/b', 'A']],
    [
      'references',
      format.checkReference,
      ['debian', 'localhost:5000/a/b:1', `a@sha256:${'0'.repeat(64)}`],
      ['', 'A', 'a b', 'a:', 'a@b'],
    ],
  ])('of %s', (_title, check, good, bad) => {
    expect(refused(check, good)).toEqual([]);
    expect(refused(check, bad)).toEqual(bad);
  });

  it('reads what it accepts', () => {
    expect(format.findMode('4755')).toBe(0o4755);
    expect(format.findDurationMs('1h1m1.5s2ms')).toBe(3_661_502);
    expect(format.findPorts('8000-8002/udp')).toEqual(['8000/udp', '8001/udp', '8002/udp']);
  });

  it('takes numbers for modes only when they are written in octal', () => {
    expect(format.checkModeNumber(0o755, '0o755')).toBeUndefined();
    expect(format.checkModeNumber(755, '755')).toContain('write 0o755 or "0755"');
    expect(format.checkModeNumber(0o77777, '0o77777')).toContain('not an octal mode');
  });
});
