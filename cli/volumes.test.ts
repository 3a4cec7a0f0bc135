import os from 'node:os';
import { describe, expect, it } from 'vitest';
import { parseTmpfs, parseVolume } from './volumes.ts';

describe('parseVolume', () => {
  it.each([
    { text: '/:/host', mount: { source: '/', destination: '/host', readOnly: false } },
    { text: '/:/host:ro', mount: { source: '/', destination: '/host', readOnly: true } },
    { text: '/:/host:rw', mount: { source: '/', destination: '/host', readOnly: false } },
    { text: '.:/a//b/../c/', mount: { source: os.tmpdir(), destination: '/a/c', readOnly: false } },
  ])('reads $text', async ({ text, mount }) => {
    expect(await parseVolume(text, os.tmpdir())).toEqual({ kind: 'bind', ...mount });
  });

  it.each(['', ':', '/', '/:', '/:x', '/:/', '/:/a:maybe', '/:/a:ro:z', 'data:/a', '/no/such/folder:/a'])(
    'refuses %j',
    async (text) => {
      await expect(parseVolume(text, '/')).rejects.toMatchObject({ code: 'USAGE_VOLUME' });
    },
  );
});

describe('parseTmpfs', () => {
  it.each([
    { text: '/tmp', mount: { destination: '/tmp' } },
    { text: '/tmp:size=64m', mount: { destination: '/tmp', sizeBytes: 64 * 1024 * 1024 } },
    { text: '/tmp:size=100', mount: { destination: '/tmp', sizeBytes: 100 } },
  ])('reads $text', ({ text, mount }) => {
    expect(parseTmpfs(text)).toEqual({ kind: 'tmpfs', ...mount });
  });

  it.each(['', 'tmp', '/', '/tmp:', '/tmp:exec', '/tmp:size=x'])('refuses %j', (text) => {
    expect(() => parseTmpfs(text)).toThrow(expect.objectContaining({ code: 'USAGE_VOLUME' }));
  });
});
