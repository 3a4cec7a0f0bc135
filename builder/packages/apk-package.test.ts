import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { apkHashOf } from './apk-package.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'apk-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const content = gzipSync(Buffer.alloc(5000, 'content'));
const tarFile = (name: string, text: string) => {
  const header = Buffer.alloc(512);
  header.write(name);
  return Buffer.concat([header, Buffer.from(text.padEnd(512, '\0'))]);
};
const info = `pkgname = x\ndatahash = ${createHash('sha256').update(content).digest('hex')}\n`;
const control = gzipSync(tarFile('.PKGINFO', info));
const signature = gzipSync(tarFile('.SIGN.RSA.key', 'signature'));
const hash = `Q1${createHash('sha1').update(control).digest('base64')}`;

async function hashOf(...parts: readonly Buffer[]): Promise<string> {
  const file = path.join(folder, 'x.apk');
  await writeFile(file, Buffer.concat(parts));
  return apkHashOf(file);
}

describe('apkHashOf', () => {
  it('is that of the control part, with and without a signature', async () => {
    expect(await hashOf(signature, control, content)).toBe(hash);
    expect(await hashOf(control, content)).toBe(hash);
  });

  it('is another one when the content is not what the control part says', async () => {
    expect(await hashOf(signature, control, gzipSync('other'))).not.toBe(hash);
    expect(await hashOf(signature, control)).not.toBe(hash);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['a package of apk 3', Buffer.from('ADB.pckg'.padEnd(64, 'x'))],
    ['a cut-off one', signature.subarray(0, 40)],
    ['garbage after the signature', Buffer.concat([signature, Buffer.alloc(64, 1)])],
    ['a gzip header without an end', Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 8]), Buffer.alloc(40, 1)])],
  ])('refuses %s', async (_name, bytes) => {
    await expect(hashOf(bytes)).rejects.toMatchObject({ code: 'PACKAGES_FAILED' });
  });
});
