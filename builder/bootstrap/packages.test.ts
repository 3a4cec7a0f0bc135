import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  debianArchitecture,
  formatPackage,
  parseInstalled,
  parseSimulation,
  sortPackages,
  versionPreferences,
  withHashes,
} from './packages.ts';

describe('parseSimulation', () => {
  it('reads what would be installed, with one or several origins, foreign names and upgrades', () => {
    const packages = parseSimulation([
      'NOTE: This is only a simulation!',
      'Inst libc6 (2.36-9+deb12u14 Debian:12.15/oldstable [amd64])',
      'Inst gcc-12-base (12.2.0-14 Debian:12.1/stable, Debian-Security:12/stable-security [amd64]) []',
      'Inst tzdata [2024a-0] (2026f-0+deb12u1 Debian:12.15/oldstable [all]) [libc6:amd64 ]',
      'Inst libc6:i386 (2:1.0~rc1 Debian:12/stable [i386])',
      'Conf libc6 (2.36-9+deb12u14 Debian:12.15/oldstable [amd64])',
    ]);

    expect(packages.map(formatPackage)).toEqual([
      'libc6:amd64=2.36-9+deb12u14',
      'gcc-12-base:amd64=12.2.0-14',
      'tzdata:all=2026f-0+deb12u1',
      'libc6:i386=2:1.0~rc1',
    ]);
  });

  it('gives nothing for any other text', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (lines) => {
        expect(parseSimulation(lines)).toEqual([]);
      }),
    );
  });
});

describe('parseInstalled', () => {
  it('counts only what is installed in full', () => {
    const stanza = (name: string, status: string) =>
      `Package: ${name}\nStatus: ${status}\nArchitecture: all\nVersion: 1\nDescription: short\n Package: not this\n`;

    const packages = parseInstalled(
      [
        'install ok installed',
        'hold ok installed',
        'install ok unpacked',
        'deinstall ok config-files',
        'install reinstreq half-installed',
      ]
        .map((status, index) => stanza(`p${index}`, status))
        .join('\n'),
    );

    expect(packages.map(({ name }) => name)).toEqual(['p0', 'p1']);
  });
});

describe('withHashes', () => {
  it('finds the hash of each version among what apt-cache shows, and says so where there is none', () => {
    const shown = [
      ['Package: a', 'Version: 2', 'Architecture: amd64', 'SHA256: bbbb'],
      ['Package: a', 'Version: 1', 'Architecture: amd64', 'SHA256: aaaa', 'Description: x', ' SHA256: no field'],
      ['Package: a', 'Version: 1', 'Architecture: amd64', 'SHA256: of another archive'],
      ['Package: b', 'Version: 1', 'Architecture: all', 'MD5sum: 00'],
      ['Package: c', 'Version: 1', 'Architecture: all', 'SHA512: cccc'],
    ];
    const packages = [
      { name: 'a', version: '1', architecture: 'amd64' },
      { name: 'b', version: '1', architecture: 'all' },
      { name: 'c', version: '1', architecture: 'all' },
    ];

    const hashes = withHashes(packages, shown.map((lines) => lines.join('\n')).join('\n\n'));

    expect(hashes.map(({ hash }) => hash)).toEqual(['sha256:aaaa', 'unknown', 'sha512:cccc']);
  });
});

describe('versionPreferences', () => {
  it('has a stanza for each package', () => {
    const packages = [
      { name: 'a', version: '1:2-3', architecture: 'amd64' },
      { name: 'b', version: '4', architecture: 'all' },
    ];

    expect(versionPreferences(packages)).toBe(
      'Package: a\nPin: version 1:2-3\nPin-Priority: 1001\n\nPackage: b\nPin: version 4\nPin-Priority: 1001\n',
    );
  });
});

describe('sortPackages', () => {
  it('gives one order for every order, each package once', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9+.-]{1,6}$/);
    const one = fc.record({ name, version: fc.constantFrom('1', '2'), architecture: fc.constantFrom('all', 'amd64') });
    fc.assert(
      fc.property(fc.array(one), (packages) => {
        const sorted = sortPackages(packages);

        expect(sortPackages([...packages].reverse().concat(packages))).toEqual(sorted);
        expect(new Set(sorted.map(formatPackage)).size).toBe(sorted.length);
      }),
    );
  });
});

it('knows what dpkg calls the architectures of the image-spec', () => {
  expect(['amd64', '386', 'arm64', 'arm', 'ppc64le', 'riscv64'].map(debianArchitecture)).toEqual([
    'amd64',
    'i386',
    'arm64',
    'armhf',
    'ppc64el',
    'riscv64',
  ]);
});
