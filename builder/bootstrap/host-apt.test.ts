import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acquireSettings, readAptSources, trustSettings } from './host-apt.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'apt-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('readAptSources', () => {
  it('reads both formats in the order of file names, and only the files that apt reads', async () => {
    const parts = path.join(folder, 'sources.list.d');
    await mkdir(parts);
    const deb822 = (host: string) => `Types: deb\nURIs: http://${host}/\nSuites: bookworm\nComponents: main\n`;
    await writeFile(path.join(folder, 'sources.list'), 'deb http://first.example/ bookworm main\n');
    await writeFile(path.join(parts, 'b.list'), 'deb http://third.example/ bookworm main\n');
    await writeFile(path.join(parts, 'a.sources'), deb822('second.example'));
    await writeFile(path.join(parts, 'c.sources.disabled'), deb822('off.example'));
    await writeFile(path.join(parts, 'd e.sources'), deb822('space.example'));

    const sources = await readAptSources(folder);

    expect(sources.flatMap(({ uris }) => uris)).toEqual([
      'http://first.example/',
      'http://second.example/',
      'http://third.example/',
    ]);
  });

  it('replaces a list of mirrors on this machine by its first mirror', async () => {
    const mirrors = path.join(folder, 'mirrors.list');
    await writeFile(mirrors, '# mirrors\nhttp://near.example/debian\tpriority:1\nhttp://far.example/debian\n');
    const none = path.join(folder, 'none.list');
    await writeFile(
      path.join(folder, 'sources.list'),
      `deb mirror+file:${mirrors} bookworm main\ndeb mirror+file://${none} bookworm main\n`,
    );

    const sources = await readAptSources(folder);

    expect(sources.flatMap(({ uris }) => uris)).toEqual(['http://near.example/debian', `mirror+file://${none}`]);
  });

  it('finds nothing where apt is not configured', async () => {
    expect(await readAptSources(path.join(folder, 'nowhere'))).toEqual([]);
  });
});

describe('the settings of apt-config dump', () => {
  const dump = [
    'APT::Install-Recommends "true";',
    'Acquire::Languages "none";',
    'Acquire::IndexTargets::deb::Packages::MetaKey "$(COMPONENT)/Packages";',
    'Acquire::http::Proxy "http://proxy.example:3128";',
    'Acquire::https::CaInfo "/etc/own.pem";',
    'Acquire::Retries "3";',
    'Acquire::Check-Valid-Until "false";',
    'Acquire::Check-Date "true";',
    'DPkg::Post-Invoke:: "rm -rf /";',
  ];

  it('are carried over only where they say how an archive is reached', () => {
    expect(acquireSettings(dump)).toEqual(dump.slice(3, 8));
  });

  it('say which checks are off', () => {
    expect(trustSettings(dump)).toEqual({ 'Check-Valid-Until': 'no' });
  });
});
