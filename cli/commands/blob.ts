import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { registryFlags } from '../registry-flags.ts';
import { resultFlags } from '../result.ts';

export const blobFlags = {
  output: { kind: 'value', short: 'o', placeholder: 'FILE', summary: 'get: where it goes; - is stdout' },
  'media-type': { kind: 'value', placeholder: 'TYPE', summary: 'put: for the descriptor that is printed' },
  force: { kind: 'switch', short: 'f', summary: 'rm: do not ask; a blob that is not there is no error' },
  yes: { kind: 'switch', short: 'y', summary: 'rm: do not ask' },
  ...registryFlags,
  ...resultFlags,
} as const satisfies FlagTable;

export type BlobFlags = FlagValues<typeof blobFlags>;

export const blob = defineCommand({
  about:
    'The contents that manifests point at, by digest. get checks what it gets and writes a file whole or not at all; put prints a descriptor for a manifest. oci:DIR:DIGEST is read as well.',
  arguments: [
    { name: 'ACTION', summary: 'get, put or rm' },
    { name: 'REF', summary: 'get, rm: REPOSITORY@DIGEST; put: REPOSITORY' },
    { name: 'FILE', summary: 'put: what is stored; - is stdin', optional: true },
  ],
  flags: blobFlags,
  examples: [
    { line: 'kiln blob get registry.example/site@sha256:… -o layer.tar.gz', says: 'Download one layer' },
    { line: 'kiln blob put registry.example/site notes.txt', says: 'Upload a file' },
  ],

  async run(context, values, [action = '', ...words]) {
    const { runBlob } = await import('../blob-run.ts');
    return runBlob(context, values, action, words);
  },
});
