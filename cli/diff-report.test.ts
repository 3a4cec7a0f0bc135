import { describe, expect, it } from 'vitest';
import type { FileChange, ImageDiff } from '../builder/index.ts';
import { sha256 } from '../core/index.ts';
import { diffText, type NamedDiff } from './diff-report.ts';

const side = (name: string) => ({ name, digest: sha256(name), platform: 'linux/amd64', size: 1000 });
const diff = (parts: Partial<ImageDiff>): NamedDiff => ({
  equal: false,
  sharedLayersRead: true,
  notes: [],
  ...parts,
  before: side('docker.io/library/a:1'),
  after: side('docker.io/library/a:2'),
});
const text = (parts: Partial<ImageDiff>, allFiles = false) => diffText(diff(parts), { allFiles, times: false });
const added = (path: string): FileChange => ({
  path,
  change: 'added',
  after: { type: 'file', mode: '0644', uid: 0, gid: 0, size: 5, mtime: '1.0' },
});

describe('diffText', () => {
  it('is a release note: packages before configuration, layers and files', () => {
    const layer = { diffId: sha256('d') as never, digest: sha256('d'), size: 10, step: 'COPY x' };

    expect(
      text({
        packages: [
          { kind: 'deb', name: 'libc6', from: '1', to: '2' },
          { kind: 'deb', name: 'curl', to: '7' },
          { kind: 'deb', name: 'old', from: '3' },
        ],
        config: [
          { field: 'env', key: 'A', before: '1', after: '' },
          { field: 'annotation', key: 'kiln.layers', before: '[]', after: '[1]' },
          { field: 'history', after: 'COPY x' },
        ],
        layers: { shared: [layer], sharedBottom: 1, removed: [], added: [layer] },
        files: [
          added('/etc/new'),
          {
            path: '/etc/changed',
            change: 'changed',
            before: { type: 'file', mode: '0644', uid: 0, gid: 0, size: 10_001, mtime: '1.0' },
            after: { type: 'file', mode: '0755', uid: 0, gid: 0, size: 10_002, mtime: '2.0' },
            attributes: ['mode', 'size', 'content', 'mtime'],
          },
        ],
      }).split('\n'),
    ).toEqual([
      'a:1 → a:2 (linux/amd64)',
      expect.stringMatching(/^ {2}sha256:[0-9a-f]{12} 1kB → sha256:[0-9a-f]{12} 1kB$/),
      '',
      'Packages: 1 changed, 1 added, 1 removed',
      '  libc6   1 → 2',
      '  curl    added 7',
      '  old     removed 3',
      '',
      'Configuration',
      '  env A   1 → ""',
      '',
      'Layers: 1 shared (10B), 1 added (10B)',
      expect.stringMatching(/^ {2}\+ {5}10B {2}sha256:[0-9a-f]{12} {2}COPY x$/),
      '',
      'Files: 1 changed, 1 added',
      '  + /etc/new  0644 5B',
      '  ~ /etc/changed  mode 0644 → 0755, size 10001B → 10002B, content',
    ]);
  });

  it('lists the first forty files, and all when it is asked to', () => {
    const files = Array.from({ length: 50 }, (_, index) => added(`/f${index}`));

    expect(text({ files })).toContain('… and 10 more (--files lists all)');
    expect(text({ files }).match(/\n {2}\+/g)).toHaveLength(40);
    expect(text({ files }, true).match(/\n {2}\+/g)).toHaveLength(50);
  });

  it('says of equal images in one line what was compared', () => {
    expect(text({ equal: true, packages: [], files: [] })).toMatch(
      /^a:1 and a:2 are equal in packages and files \(sha256:[0-9a-f]{12}\)$/,
    );
    expect(
      text({
        equal: true,
        packages: [],
        config: [],
        layers: { shared: [], sharedBottom: 0, removed: [], added: [] },
        files: [],
      }),
    ).toMatch(/^a:1 and a:2 are equal \(/);
  });

  it('says when layers were left unread', () => {
    expect(text({ files: [added('/a')], sharedLayersRead: false })).toContain('--deep reads them');
    expect(text({ files: [], config: [{ field: 'user', after: 'x' }], sharedLayersRead: false })).not.toContain(
      '--deep',
    );
  });

  it('lets nothing of a stranger’s image through to the terminal', () => {
    const evil = '\u001b]0;owned\u0007\u001b[2J\u202e\nnext';

    const shown = text({
      packages: [{ kind: 'deb', name: evil, from: evil, to: evil }],
      config: [{ field: 'env', key: evil, before: evil, after: [evil] }],
      layers: {
        shared: [],
        sharedBottom: 0,
        removed: [{ diffId: sha256('d') as never, digest: sha256('d'), size: 10, step: evil }],
        added: [],
      },
      files: [added(`/${evil}`)],
      notes: [evil],
    });

    expect(shown).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    expect(shown).not.toMatch(/^next/m);
  });
});
