import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parsePlatform, platformOf } from '../core/index.ts';
import { canRun } from './binfmt.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'binfmt-'));
  writeFileSync(path.join(folder, 'status'), 'enabled\n');
  writeFileSync(path.join(folder, 'register'), '');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** As Debian's qemu-user-static has them. */
const magics = {
  s390x: ['7f454c4602020100000000000000000000020016', 'ffffffffffffff00fffffffffffffffffffeffff'],
  riscv64: ['7f454c460201010000000000000000000200f300', 'ffffffffffffff00fffffffffffffffffeffffff'],
  arm: ['7f454c4601010100000000000000000002002800', 'ffffffffffffff00fffffffffffffffffeffffff'],
  '386': ['7f454c4601010100000000000000000002000300', 'fffffffffffefffffffffffffffffffffeffffff'],
} as const;

function register(architecture: keyof typeof magics, { state = 'enabled', flags = 'OCPF' } = {}): void {
  const [magic, mask] = magics[architecture];
  const lines = [state, `interpreter /usr/libexec/qemu-binfmt/${architecture}`, `flags: ${flags}`, 'offset 0'];
  const text = [...lines, `magic ${magic}`, `mask ${mask}`, ''].join('\n');
  writeFileSync(path.join(folder, `qemu-${architecture}`), text);
}

function runs(platform: string): Promise<boolean> {
  return canRun(parsePlatform(platform), folder);
}

it('runs what is made for this machine', async () => {
  expect(await canRun(platformOf(process.arch), path.join(folder, 'missing'))).toBe(true);
});

it.each(['s390x', 'riscv64', 'arm', '386'] as const)(
  'runs linux/%s by an interpreter that stays open',
  async (architecture) => {
    expect(await runs(`linux/${architecture}`)).toBe(false);
    register(architecture);

    expect(await runs(`linux/${architecture}`)).toBe(true);
    for (const other of ['s390x', 'riscv64', 'arm', '386'].filter((name) => name !== architecture))
      expect(await runs(`linux/${other}`)).toBe(false);
  },
);

it('runs variants of an architecture', async () => {
  register('arm');

  expect(await runs('linux/arm/v7')).toBe(true);
});

it.each([{ state: 'disabled' }, { flags: 'OCP' }, { flags: '' }])('does not run by %j', async (entry) => {
  register('s390x', entry);

  expect(await runs('linux/s390x')).toBe(false);
});

it('does not run anything when the kernel’s switch is off', async () => {
  register('s390x');
  writeFileSync(path.join(folder, 'status'), 'disabled\n');

  expect(await runs('linux/s390x')).toBe(false);
});

it.each(['windows/amd64', 'linux/unheard-of', 'linux/constructor'])('does not run %s', async (platform) => {
  register('s390x');

  expect(await runs(platform)).toBe(false);
});

it('passes over entries by extension, and broken ones', async () => {
  writeFileSync(path.join(folder, 'jar'), 'enabled\ninterpreter /usr/bin/jexec\nflags: F\nextension .jar\n');
  writeFileSync(path.join(folder, 'broken'), 'enabled\ninterpreter /x\nflags: F\noffset 0\nmagic 7f4\n');

  expect(await runs('linux/s390x')).toBe(false);
});
