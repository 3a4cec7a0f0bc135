import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { isNoise } from './noise.ts';

const segmentBytes = 32 * 1024;

describe('isNoise', () => {
  it('knows noise, and what is compressed already', () => {
    const program = readFileSync(process.execPath).subarray(0, 4 * 1024 * 1024);
    const compressed = gzipSync(program, { level: 9 });

    expect(isNoise(randomBytes(segmentBytes))).toBe(true);
    const segments = Array.from({ length: 8 }, (_, index) => compressed.subarray(index * segmentBytes + 1000));
    const taken = segments.filter((segment) => isNoise(segment.subarray(0, segmentBytes)));
    expect(taken.length).toBeGreaterThan(4);
  });

  it('never says so of what deflate makes noticeably smaller', () => {
    const noise = randomBytes(2048);
    const program = readFileSync(process.execPath);
    const segments = [
      Buffer.alloc(segmentBytes),
      Buffer.alloc(segmentBytes, 'text and more text, '),
      Buffer.from(Array.from({ length: segmentBytes }, (_, index) => index % 256)),
      Buffer.concat(Array.from({ length: 32 }, () => noise)),
      Buffer.from(randomBytes(segmentBytes).toString('base64')).subarray(0, segmentBytes),
      ...Array.from({ length: 200 }, (_, index) => program.subarray(index * 400_000, index * 400_000 + segmentBytes)),
    ];

    for (const segment of segments.filter(isNoise)) {
      expect(deflateRawSync(segment).byteLength).toBeGreaterThan(segment.byteLength * 0.97);
    }
    expect(segments.slice(0, 5).some(isNoise)).toBe(false);
  });

  it('does not judge by a few bytes', () => {
    expect(isNoise(randomBytes(2047))).toBe(false);
  });
});
