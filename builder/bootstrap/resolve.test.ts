import { describe, expect, it } from 'vitest';
import { bootstrapFailure, resolved } from './resolve.ts';
import { ToolFailure } from './tool-process.ts';

const parts = {
  source: {
    kind: 'bootstrap',
    distribution: 'debian',
    suite: 'bookworm',
    variant: 'minbase',
    security: true,
    include: ['b', 'a'],
  },
  architecture: 'amd64',
  archives: [{ uri: 'http://packages.example/debian', suite: 'bookworm', components: ['main'], trust: {} }],
  packages: [
    { name: 'dash', version: '0.5.12-2', architecture: 'amd64', hash: 'sha256:1' },
    { name: 'apt', version: '2.6.1', architecture: 'amd64', hash: 'sha256:2' },
  ],
} as const;

describe('resolved', () => {
  it('names equal results equally, in whatever order their parts were found', () => {
    const other = resolved({
      ...parts,
      source: { ...parts.source, include: ['a', 'b', 'a'] },
      packages: [...parts.packages].reverse(),
    });

    expect(other.digest).toBe(resolved(parts).digest);
    expect(other.packages.map(({ name }) => name)).toEqual(['apt', 'dash']);
  });

  it('names a result anew for each thing that changes it', () => {
    const [archive] = parts.archives;
    const others = [
      { ...parts, architecture: 'arm64' },
      { ...parts, source: { ...parts.source, security: false } },
      { ...parts, source: { ...parts.source, include: [] } },
      { ...parts, archives: [{ ...archive, uri: 'http://other.example/debian' }] },
      { ...parts, packages: [parts.packages[0], { ...parts.packages[1], version: '2.6.2' }] },
      { ...parts, packages: [parts.packages[0], { ...parts.packages[1], hash: 'sha256:3' }] },
      { ...parts, packages: parts.packages.slice(1) },
    ];

    const digests = new Set([parts, ...others].map((one) => resolved(one).digest));

    expect(digests.size).toBe(others.length + 1);
  });
});

describe('bootstrapFailure', () => {
  it('shows what was printed last, without the steps of apt', () => {
    const lines = [
      'Err:2 somewhere nosuch Release',
      '  404  Not Found',
      'Reading package lists...',
      'E: no Release file',
    ];

    const error = bootstrapFailure(parts.source, new ToolFailure('apt-get', 100, null, lines));

    expect(error.code).toBe('BOOTSTRAP_FAILED');
    expect(error.message).toBe(
      'debian/bookworm cannot be bootstrapped: apt-get ended with status 100\n' +
        '  Err:2 somewhere nosuch Release\n    404  Not Found\n  E: no Release file',
    );
  });

  it('shows ten lines at most', () => {
    const lines = Array.from({ length: 20 }, (_, index) => `line ${index}`);

    const { message } = bootstrapFailure(parts.source, new ToolFailure('mmdebstrap', null, 'SIGKILL', lines));

    expect(message.split('\n')).toHaveLength(11);
    expect(message).toContain('signal SIGKILL');
    expect(message).toContain('line 19');
  });
});
