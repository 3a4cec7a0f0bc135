import { describe, expect, it } from 'vitest';
import { byteString, type Entry } from '../../runtime/index.ts';
import { normaliseRoot } from './normalise.ts';

const startedAt = 1_700_000_000_500;
const before = 1_600_000_000;
const during = 1_700_000_000;

describe('normaliseRoot', () => {
  it('sets times that the bootstrap made to one second, and keeps those of packages whole', async () => {
    const [kept, made] = await normalised([
      { ...file('bin/sh'), mtime: { seconds: before, nanoseconds: 123 } },
      file('etc/passwd', { seconds: during }),
    ]);

    expect(kept).toMatchObject({ mtime: { seconds: before, nanoseconds: 0 } });
    expect(made).toMatchObject({ mtime: { seconds: 1, nanoseconds: 0 } });
  });

  it('leaves out what belongs to the machine, the moment, or the tools', async () => {
    const gone = [
      'dev/null',
      'etc/apt/apt.conf.d/99mmdebstrap',
      'etc/apt/preferences.d/00kiln',
      'etc/apt/sources.list.d/0000kiln.sources',
      'etc/hostname',
      'etc/resolv.conf',
      'etc/shadow-',
      'etc/ssh/ssh_host_rsa_key',
      'etc/ssh/ssh_host_rsa_key.pub',
      'run/something',
      'tmp/left',
      'var/cache/apt/pkgcache.bin',
      'var/cache/apt/archives/x.deb',
      'var/cache/debconf/config.dat-old',
      'var/cache/ldconfig/aux-cache',
      'var/lib/apt/lists/lock',
      'var/lib/dpkg/status-old',
      'var/log/dpkg.log',
    ];
    const stays = [
      'etc/apt/apt.conf.d/70debconf',
      'etc/hostname.d',
      'etc/ssh/sshd_config',
      'run/lock',
      'usr/share/doc/dev/null',
      'var/cache/debconf/config.dat',
      'var/lib/dpkg/status',
    ];

    const entries = await normalised([...gone, ...stays].map((path) => file(path, { seconds: during })));

    expect(entries.map(({ path }) => path)).toEqual(stays);
  });

  it("keeps the folders of apt's caches and a package's or an empty log", async () => {
    const folders = ['dev', 'var/cache/apt/archives/partial', 'var/lib/apt/lists/partial'].map(folder);
    const logs = [file('var/log/README'), { ...file('var/log/wtmp', { seconds: during }), size: 0 }];

    const entries = await normalised([...folders, ...logs]);

    expect(entries).toHaveLength(folders.length + logs.length);
  });

  it('empties the machine id', async () => {
    expect(await normalised([file('etc/machine-id')])).toMatchObject([
      { path: 'etc/machine-id', size: 0, content: { kind: 'bytes', bytes: Buffer.alloc(0) } },
    ]);
  });

  it('puts the archives where apt looks for them, right after their folder', async () => {
    const entries = await normalised([folder('etc/apt/sources.list.d'), file('etc/bash.bashrc')]);

    expect(entries.map(({ path }) => path)).toEqual([
      'etc/apt/sources.list.d',
      'etc/apt/sources.list.d/debian.sources',
      'etc/bash.bashrc',
    ]);
    expect(entries[1]).toMatchObject({ type: 'file', mode: 0o644, uid: 0, gid: 0, size: 8 });
  });

  it('gives the bytes of a left-out file to the first of its other names', async () => {
    const entries = await normalised([
      { ...file('var/lib/dpkg/diversions-old'), mode: 0o600 },
      link('var/lib/dpkg/x', 'var/lib/dpkg/diversions-old'),
      link('var/lib/dpkg/y', 'var/lib/dpkg/diversions-old'),
    ]);

    expect(entries).toMatchObject([
      { type: 'file', path: 'var/lib/dpkg/x', mode: 0o600, size: 4 },
      { type: 'hardlink', path: 'var/lib/dpkg/y', target: 'var/lib/dpkg/x' },
    ]);
  });

  it('keeps an ordinary hard link as it is', async () => {
    const entries = await normalised([file('usr/bin/perl'), link('usr/bin/perl5', 'usr/bin/perl')]);

    expect(entries[1]).toMatchObject({ type: 'hardlink', target: 'usr/bin/perl' });
  });
});

async function normalised(entries: readonly Entry[]): Promise<Entry[]> {
  async function* source() {
    yield* entries;
  }
  const sources = { name: 'debian.sources', text: 'Types: x' };
  return Array.fromAsync(normaliseRoot(source(), { startedAt, sources }));
}

function common(path: string, seconds = before) {
  return { path: byteString(path), mode: 0o644, uid: 0, gid: 0, mtime: { seconds, nanoseconds: 0 } };
}

function file(path: string, time: { readonly seconds?: number } = {}) {
  const bytes = Buffer.from('text');
  return {
    ...common(path, time.seconds),
    type: 'file',
    size: bytes.length,
    content: { kind: 'bytes', bytes },
  } as const;
}

function folder(path: string): Entry {
  return { ...common(path), type: 'directory' };
}

function link(path: string, target: string): Entry {
  return { ...common(path), type: 'hardlink', target: byteString(target) };
}
