import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseDescriptor } from './descriptor.ts';
import { sha256 } from './digest.ts';
import { parseImageConfig } from './image-config.ts';
import { parseIndex, parseManifest } from './manifest.ts';

interface Row {
  readonly fail: boolean;
  readonly [document: string]: unknown;
}

/** Bad by the JSON schema of the image-spec, yet read: Kiln does not look at what is wrong there. */
const tolerated: Readonly<Record<string, RegExp>> = {
  descriptor: /"(?:urls|artifactType|data)"/,
  manifest: /"layers": \[\]/,
  imageIndex: /$^/,
  config: /"variant": 123|\[\s*"foo"\s*\]/,
};
/** Good by the schema, yet refused: nobody can verify bytes against these algorithms. */
const unsupported = /"digest": "(?:sha256[+.]|multihash)/;

function rowsOf(file: string): Row[] {
  const url = new URL(`../fixtures/vectors/image-spec_schema_${file}_test.json`, import.meta.url);
  const tables = JSON.parse(readFileSync(url, 'utf8')) as { name: string; rows: unknown }[];
  return tables.flatMap(({ rows }) => (Array.isArray(rows) ? (rows as Row[]) : [])).filter((row) => 'fail' in row);
}

const parsers: Readonly<Record<string, (bytes: Uint8Array) => unknown>> = {
  descriptor: (bytes) => parseDescriptor(JSON.parse(Buffer.from(bytes).toString())),
  manifest: parseManifest,
  imageIndex: parseIndex,
  config: parseImageConfig,
};

describe.each(['descriptor', 'manifest', 'imageindex', 'config', 'backwards_compatibility'])(
  'the image-spec documents of %s',
  (file) => {
    it.each(rowsOf(file).map((row, index) => [index, row] as const))('are read as the spec says: %d', (_index, row) => {
      const [kind, parse] = Object.entries(parsers).find(([name]) => name in row) ?? [];
      const document = row[kind ?? ''];
      if (kind === undefined || parse === undefined || typeof document !== 'string') throw new TypeError('odd vector');
      const bytes = Buffer.from(document);

      if (typeof row.digest === 'string') expect(sha256(bytes)).toBe(row.digest);
      const refused = row.fail ? tolerated[kind]?.test(document) !== true : unsupported.test(document);
      if (refused) expect(() => parse(bytes)).toThrow();
      else expect(parse(bytes)).toBeDefined();
    });
  },
);
