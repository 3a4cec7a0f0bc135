import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDiffId, sha256, ToolError } from '../../core/index.ts';
import { cacheKeyOf, type Preimage } from '../workshop/step-cache.ts';
import { type CacheContent, parseCacheRecords, serializeCacheRecords } from './cache-records.ts';

const diffId = parseDiffId(sha256('layer'));

function record(preimage: Preimage, result: CacheContent['records'][number]['result']) {
  return { key: cacheKeyOf(preimage), preimage, result };
}

const content: CacheContent = {
  layers: [{ diffId, size: 1024 }],
  records: [
    record(
      [
        ['verb', 'run'],
        ['argv', ['sh', '-c', 'x']],
        ['mode', 5],
        ['flag', true],
      ],
      { diffId, size: 1024 },
    ),
    record([['verb', 'test']], { size: 0 }),
  ],
};

describe('records of a cache', () => {
  it('come back as they were written, whatever their order', () => {
    const bytes = serializeCacheRecords(content);
    const reversed = serializeCacheRecords({ ...content, records: content.records.toReversed() });

    expect(reversed.equals(bytes)).toBe(true);
    const { layers, records } = parseCacheRecords(bytes);
    expect(layers).toEqual(content.layers);
    expect(records.toSorted((a, b) => (a.key < b.key ? -1 : 1))).toEqual(
      content.records.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
    );
  });

  it('have the keys of what they say they were made of, not those that are claimed', () => {
    const claimed = JSON.parse(serializeCacheRecords(content).toString());
    claimed.results[0].key = sha256('somebody else’s');

    const { records } = parseCacheRecords(Buffer.from(JSON.stringify(claimed)));

    expect(records.map(({ key }) => key).toSorted()).toEqual(content.records.map(({ key }) => key).toSorted());
  });

  it.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['another version', '{"version":2,"layers":[],"results":[]}'],
    ['no lists', '{"version":1}'],
    ['a layer without size', `{"version":1,"layers":[{"diffId":"${diffId}"}],"results":[]}`],
    ['a layer with a negative size', `{"version":1,"layers":[{"diffId":"${diffId}","size":-1}],"results":[]}`],
    ['a layer that is no digest', '{"version":1,"layers":[{"diffId":"../../etc/passwd","size":1}],"results":[]}'],
    ['a result without preimage', '{"version":1,"layers":[],"results":[{}]}'],
    ['a preimage that is none', '{"version":1,"layers":[],"results":[{"preimage":[["a",{}]]}]}'],
    [
      'a result with an unknown layer',
      `{"version":1,"layers":[],"results":[{"preimage":[["a","b"]],"diffId":"${diffId}"}]}`,
    ],
  ])('are refused: %s', (_what, text) => {
    expect(() => parseCacheRecords(Buffer.from(text))).toThrow(ToolError);
  });

  it('fail by a ToolError only, whatever the JSON', () => {
    fc.assert(
      fc.property(fc.json(), fc.json(), fc.json(), (layers, results, other) => {
        for (const text of [other, `{"version":1,"layers":[${layers}],"results":[${results}]}`]) {
          try {
            parseCacheRecords(Buffer.from(text));
          } catch (error) {
            expect(error).toBeInstanceOf(ToolError);
          }
        }
      }),
    );
  });
});
