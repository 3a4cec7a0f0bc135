import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordStore } from './record-store.ts';

let folder: string;
let records: RecordStore;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kiln-records-'));
  records = new RecordStore(folder);
});
afterEach(() => rm(folder, { recursive: true }));

async function onlyFile(): Promise<string> {
  const [name] = await readdir(path.join(folder, 'steps-v1'));
  return path.join(folder, 'steps-v1', name ?? '');
}

describe('RecordStore', () => {
  it('gives back what was written, under any key', async () => {
    await records.write('steps-v1', '../../../etc/passwd', { a: [1, 'x'] });

    expect(await records.read('steps-v1', '../../../etc/passwd')).toEqual({ a: [1, 'x'] });
    expect(await records.read('steps-v1', 'other')).toBeUndefined();
    expect(await records.read('listings-v1', '../../../etc/passwd')).toBeUndefined();
  });

  it.each([
    ['cut short', (text: string) => text.slice(0, -4)],
    ['changed in one character', (text: string) => text.replace('"value"', '"valuf"')],
    ['emptied', () => ''],
    ['no JSON', () => 'not json\nnot json\n'],
    ['two bodies swapped', (text: string) => text.split('\n').reverse().join('\n')],
  ])('reads a record as absent when it was %s', async (_what, damage) => {
    await records.write('steps-v1', 'key', { name: 'value' });
    const file = await onlyFile();
    await writeFile(file, damage(await readFile(file, 'utf8')));

    expect(await records.read('steps-v1', 'key')).toBeUndefined();
    expect(await Array.fromAsync(records.all('steps-v1'))).toEqual([]);
  });

  it('does not take one key’s record for another’s', async () => {
    await records.write('steps-v1', 'a', 1);
    const file = await onlyFile();
    const text = await readFile(file, 'utf8');
    await records.write('steps-v1', 'b', 2);
    const other = (await readdir(path.join(folder, 'steps-v1')))
      .map((name) => path.join(folder, 'steps-v1', name))
      .find((name) => name !== file);
    await writeFile(other ?? '', text);

    expect(await records.read('steps-v1', 'b')).toBeUndefined();
  });

  it('lists all of a kind and forgets what is removed', async () => {
    await records.write('steps-v1', 'a', 1);
    await records.write('steps-v1', 'b', 2);
    await records.remove('steps-v1', 'a');

    expect(await Array.fromAsync(records.all('steps-v1'))).toEqual([2]);
    expect(await Array.fromAsync(records.all('builds-v1'))).toEqual([]);
  });
});
