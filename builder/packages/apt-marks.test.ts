import { describe, expect, it } from 'vitest';
import { autoInstalled } from './apt-marks.ts';

const stanza = (name: string, extra = '', architecture = 'amd64') =>
  `Package: ${name}\nStatus: install ok installed\nArchitecture: ${architecture}\nVersion: 1\n${extra}\n`;
const base = stanza('dpkg');

describe('autoInstalled', () => {
  it('marks what nobody asked for, sorted', () => {
    const after = `${base}${stanza('server')}${stanza('zlib')}${stanza('common', '', 'all')}`;

    expect(autoInstalled({ before: '', statusBefore: base, statusAfter: after, names: ['server=1'] })).toBe(
      'Package: common\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: zlib\nArchitecture: amd64\nAuto-Installed: 1\n\n',
    );
  });

  it('takes a name that packages provide for all of them, and keeps the marks of the base', () => {
    const before = 'Package: dpkg\nArchitecture: amd64\nAuto-Installed: 1\n\n';
    const after = `${base}${stanza('postfix', 'Provides: mail-agent (= 1), other\n')}${stanza('ssl')}`;

    expect(autoInstalled({ before, statusBefore: base, statusAfter: after, names: ['mail-agent'] })).toBe(
      `${before}Package: ssl\nArchitecture: amd64\nAuto-Installed: 1\n\n`,
    );
  });

  it('takes the mark from what is asked for now, and leaves an upgraded package as it was', () => {
    const before = 'Package: zlib\nArchitecture: amd64\nAuto-Installed: 1\n\n';
    const status = `${base}${stanza('zlib')}${stanza('ssl')}`;

    expect(autoInstalled({ before, statusBefore: status, statusAfter: status, names: ['zlib'] })).toBe('');
  });
});
