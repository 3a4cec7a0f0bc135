import { describe, expect, it } from 'vitest';
import type { BootstrapSource } from '../plan/plan.ts';
import { type AptSource, parseDeb822Sources, parseOneLineSources } from './apt-sources.ts';
import { archivesFor, formatArchives, type HostSources, withoutCredentials } from './archives.ts';

const bookworm: BootstrapSource = {
  kind: 'bootstrap',
  distribution: 'debian',
  suite: 'bookworm',
  variant: 'minbase',
  security: true,
  include: [],
};

const debian = `deb http://packages.example/debian bookworm main contrib
deb http://packages.example/debian bookworm-updates main
deb http://packages.example/debian bookworm-backports main
deb http://packages.example/debian-security bookworm-security main`;

describe('archivesFor', () => {
  it("takes the host's places with the suite replaced, and only free components", () => {
    const archives = archivesFor({ ...bookworm, suite: 'trixie' }, host(debian));

    expect(archives.map(({ uri, suite, components }) => [uri, suite, ...components])).toEqual([
      ['http://packages.example/debian', 'trixie', 'main'],
      ['http://packages.example/debian', 'trixie-updates', 'main'],
      ['http://packages.example/debian-security', 'trixie-security', 'main'],
    ]);
  });

  it('leaves the security archive out when the Buildfile says so', () => {
    const archives = archivesFor({ ...bookworm, security: false }, host(debian));

    expect(archives.map(({ suite }) => suite)).toEqual(['bookworm', 'bookworm-updates']);
  });

  it('uses the older name of the security suite before bullseye', () => {
    const archives = archivesFor({ ...bookworm, suite: 'buster' }, host(debian));

    expect(archives.at(-1)?.suite).toBe('buster/updates');
  });

  it('takes only the suite itself where it moves all the time', () => {
    expect(archivesFor({ ...bookworm, suite: 'sid' }, host(debian)).map(({ suite }) => suite)).toEqual(['sid']);
  });

  it("keeps other people's archives for the same suite out", () => {
    const others =
      'deb http://elsewhere.example/php bookworm main\ndeb http://elsewhere.example/debian bookworm stable\n';

    const archives = archivesFor(bookworm, host(others + debian));

    expect(archives.map(({ uri }) => uri).filter((uri) => uri.includes('elsewhere'))).toEqual([]);
  });

  it('accepts a mirror whose path says nothing by its suite, on a host of that distribution', () => {
    const plain = 'deb http://packages.example/ bookworm main\ndeb http://packages.example/s/ bookworm-security main\n';

    expect(archivesFor(bookworm, host(plain)).map(({ uri }) => uri)).toEqual([
      'http://packages.example/',
      'http://packages.example/s/',
    ]);
    expect(code(() => archivesFor(bookworm, { ...host(plain), distribution: 'other' }))).toBe('BOOTSTRAP_NO_ARCHIVE');
  });

  it('names what the host does not have', () => {
    expect(code(() => archivesFor({ ...bookworm, distribution: 'ubuntu' }, host(debian)))).toBe('BOOTSTRAP_NO_ARCHIVE');
    expect(code(() => archivesFor(bookworm, host(debian.split('\n')[0] ?? '')))).toBe('BOOTSTRAP_NO_SECURITY_ARCHIVE');
  });

  it('carries keyrings and trust over, and makes a file: archive one that is copied from', () => {
    const text = `Types: deb
URIs: file:/srv/debian
Suites: bookworm
Components: main
Signed-By: /keys/own.gpg
Check-Valid-Until: no
`;
    const sources = parseDeb822Sources(text);

    const [archive] = archivesFor(
      { ...bookworm, security: false },
      { ...host(''), sources, trust: { 'Check-Date': 'no' } },
    );

    expect(archive).toEqual({
      uri: 'copy:/srv/debian',
      suite: 'bookworm',
      components: ['main'],
      signedBy: '/keys/own.gpg',
      trust: { 'Check-Valid-Until': 'no', 'Check-Date': 'no' },
    });
  });
});

describe('formatArchives', () => {
  it('writes what parseDeb822Sources reads', () => {
    const archives = archivesFor(bookworm, { ...host(debian), trust: { 'Check-Date': 'no' } });

    const sources = parseDeb822Sources(formatArchives(archives));

    expect(sources.map((source) => [source.uris[0], source.suites[0], source.options.get('check-date')])).toEqual(
      archives.map(({ uri, suite }) => [uri, suite, 'no']),
    );
  });
});

describe('withoutCredentials', () => {
  it('removes name and password and nothing else', () => {
    const archive = { suite: 'bookworm', components: ['main'], trust: {} };

    expect(withoutCredentials({ ...archive, uri: 'https://me:secret@packages.example/debian' }).uri).toBe(
      'https://packages.example/debian',
    );
    expect(withoutCredentials({ ...archive, uri: 'https://packages.example/a@b' }).uri).toBe(
      'https://packages.example/a@b',
    );
    expect(withoutCredentials({ ...archive, uri: 'https://me:a@b@packages.example/debian' }).uri).toBe(
      'https://packages.example/debian',
    );
  });
});

function host(text: string): HostSources & { readonly sources: readonly AptSource[] } {
  return { sources: parseOneLineSources(text), distribution: 'debian', codename: 'bookworm', trust: {} };
}

function code(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return typeof error === 'object' && error !== null && 'code' in error ? error.code : error;
  }
}
