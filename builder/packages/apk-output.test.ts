import { describe, expect, it } from 'vitest';
import { missingFromApk, parseApkIndex, parseSimulated } from './apk-output.ts';
import { parseApkInstalled } from './installed.ts';

describe('parseSimulated', () => {
  it('takes what comes, in the new version', () => {
    const output = [
      '(1/4) Installing nginx (1.26.2-r0)',
      '(2/4) Upgrading zlib (1.3.0-r0 -> 1.3.1-r0)',
      '( 3/40) Downgrading pcre2@edge (10.43-r0 -> 10.42-r0)',
      '(4/4) Purging old (1-r0)',
      'OK: 9 MiB in 20 packages',
    ].join('\n');

    expect(parseSimulated(output)).toEqual([
      { name: 'nginx', version: '1.26.2-r0' },
      { name: 'zlib', version: '1.3.1-r0' },
      { name: 'pcre2', version: '10.42-r0' },
    ]);
  });
});

describe('parseApkIndex', () => {
  it('has the hash of each package, and passes over what is no stanza', () => {
    const text = 'C:Q1abc=\nP:zlib\nV:1.3.1-r0\nA:x86_64\nD:so:libc.musl\n\nC:Q1def=\nP:meta\nV:1\n\nbroken\n\n';

    expect(parseApkIndex(text)).toEqual([
      { name: 'zlib', version: '1.3.1-r0', architecture: 'x86_64', hash: 'Q1abc=' },
      { name: 'meta', version: '1', architecture: 'noarch', hash: 'Q1def=' },
    ]);
  });
});

describe('parseApkInstalled', () => {
  it('is not led astray by the files of a package', () => {
    const text = 'C:Q1abc=\nP:zlib\nV:1.3.1-r0\nA:x86_64\nF:lib\nR:libz.so.1\na:0:0:755\nZ:Q1x=\n\n';

    expect(parseApkInstalled(text)).toEqual([{ name: 'zlib', version: '1.3.1-r0', architecture: 'x86_64', hash: '' }]);
  });
});

describe('missingFromApk', () => {
  it('tells names from versions', () => {
    const output = [
      'ERROR: unable to select packages:',
      '  servre (no such package):',
      '    required by: world[servre]',
      '  library-1.2-r0:',
      '    breaks: world[library=9-r0]',
    ].join('\n');

    expect(missingFromApk(output)).toEqual(['servre', 'library=9-r0']);
  });
});
