import { describe, expect, it } from 'vitest';
import { setInstallTimes } from './rpm-header.ts';

type Tag = readonly [tag: number, type: number, offset: number, count: number];

function header(tags: readonly Tag[], data: Buffer): Buffer {
  const head = Buffer.alloc(8 + tags.length * 16);
  head.writeUInt32BE(tags.length, 0);
  head.writeUInt32BE(data.length, 4);
  for (const [index, tag] of tags.entries())
    for (const [field, value] of tag.entries()) head.writeUInt32BE(value, 8 + index * 16 + field * 4);
  return Buffer.concat([head, data]);
}

describe('setInstallTimes', () => {
  it('changes the two times and nothing else', () => {
    const data = Buffer.from('000011112222', 'latin1');
    const blob = header(
      [
        [1000, 6, 0, 1],
        [1008, 4, 4, 1],
        [1128, 4, 8, 1],
      ],
      data,
    );

    expect(setInstallTimes(blob, 1)).toBe(true);

    expect(blob.subarray(-12)).toEqual(Buffer.concat([Buffer.from('0000'), Buffer.from([0, 0, 0, 1, 0, 0, 0, 1])]));
  });

  it('leaves alone what points outside, has another type, or is no header', () => {
    const data = Buffer.alloc(8, 7);
    const blobs = [
      header([[1008, 4, 6, 1]], data),
      header([[1008, 6, 0, 1]], data),
      header([[1008, 4, 0xffffffff, 0xffffffff]], data),
      Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1]),
      Buffer.alloc(3),
    ];

    for (const blob of blobs) {
      const before = Buffer.from(blob);
      expect(setInstallTimes(blob, 1)).toBe(false);
      expect(blob).toEqual(before);
    }
  });
});
