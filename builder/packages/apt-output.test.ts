import { describe, expect, it } from 'vitest';
import { aptArgument, archiveName, missingPackages, parsePrintedUris } from './apt-output.ts';

// As apt-get 2.6 prints it.
const printed = `Reading package lists...
The following NEW packages will be installed:
  libjpeg62-turbo libssl3
Need to get 2206 kB of archives.
'http://deb.debian.org/debian/pool/main/libj/libjpeg-turbo/libjpeg62-turbo_2.1.5-2_amd64.deb' libjpeg62-turbo_1%3a2.1.5-2_amd64.deb 166332 SHA256:95ec30140789a342add8f8371ed018924de51b539056522b66f207b25cba9cad
'http://deb.debian.org/debian-security/pool/updates/main/o/openssl/libssl3_3.0.22-1%7edeb12u2_amd64.deb' libssl3_3.0.22-1~deb12u2_amd64.deb 2039888 SHA256:cb4784740daa9b3b0eaea2b444bbefa686794afbbf3d678d238c1fd9875f2efd
'http://x/old_1_all.deb' old_1_all.deb 5 MD5Sum:5bb888192be34d577ee3d4dd319bb6ed
`;

describe('parsePrintedUris', () => {
  it('finds exact versions and hashes between the sentences', () => {
    expect(parsePrintedUris(printed).map((file) => file.package)).toEqual([
      {
        name: 'libjpeg62-turbo',
        version: '1:2.1.5-2',
        architecture: 'amd64',
        hash: 'sha256:95ec30140789a342add8f8371ed018924de51b539056522b66f207b25cba9cad',
      },
      {
        name: 'libssl3',
        version: '3.0.22-1~deb12u2',
        architecture: 'amd64',
        hash: 'sha256:cb4784740daa9b3b0eaea2b444bbefa686794afbbf3d678d238c1fd9875f2efd',
      },
      { name: 'old', version: '1', architecture: 'all', hash: '' },
    ]);
  });
});

describe('names of packages', () => {
  const jpeg = { name: 'libjpeg62-turbo', version: '1:2.1.5-2', architecture: 'amd64', hash: '' };

  it('are those that apt gives to files', () => {
    expect(archiveName(jpeg)).toBe('libjpeg62-turbo_1%3a2.1.5-2_amd64.deb');
  });

  it('leave out the architecture where a package has none', () => {
    expect(aptArgument(jpeg)).toBe('libjpeg62-turbo:amd64=1:2.1.5-2');
    expect(aptArgument({ ...jpeg, architecture: 'all' })).toBe('libjpeg62-turbo=1:2.1.5-2');
  });
});

describe('missingPackages', () => {
  it('tells names from versions that are not there', () => {
    const output = [
      'E: Unable to locate package nginx-lite',
      "E: Version '1' for 'nginx' was not found",
      "E: Package 'awk' has no installation candidate",
      'E: Unable to locate package foo:amd64',
      'W: something else',
    ].join('\n');

    expect(missingPackages(output)).toEqual([
      { name: 'nginx-lite' },
      { name: 'nginx', version: '1' },
      { name: 'awk' },
      { name: 'foo:amd64' },
    ]);
  });
});
