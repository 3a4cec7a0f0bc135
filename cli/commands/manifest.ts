import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { registryFlags } from '../registry-flags.ts';
import { resultFlags } from '../result.ts';

const getting = {
  platform: { kind: 'value', placeholder: 'OS/ARCH', summary: 'get: of an index, this manifest' },
  descriptor: { kind: 'switch', summary: 'get: print type, digest and size instead' },
  raw: { kind: 'switch', summary: 'get: the very bytes (what is done unless it goes to a terminal)' },
  pretty: { kind: 'switch', summary: 'get: indented (what is done on a terminal)' },
  output: { kind: 'value', short: 'o', placeholder: 'FILE', summary: 'get: where the bytes go; - is stdout' },
} as const satisfies FlagTable;

const changing = {
  'media-type': { kind: 'value', placeholder: 'TYPE', summary: 'put: where the manifest itself does not say' },
  annotation: { kind: 'list', short: 'a', placeholder: 'KEY=VALUE', summary: 'index: of the index' },
  'artifact-type': { kind: 'value', placeholder: 'TYPE', summary: 'index: what it is' },
  append: { kind: 'switch', summary: 'index: keep what the index has; of one platform the new one counts' },
  remove: { kind: 'list', placeholder: 'DIGEST|OS/ARCH', summary: 'index: keep what it has but this' },
  force: { kind: 'switch', short: 'f', summary: 'rm: do not ask; what is not there is no error' },
  yes: { kind: 'switch', short: 'y', summary: 'rm: do not ask' },
} as const satisfies FlagTable;

export const manifestFlags = { ...getting, ...changing, ...registryFlags, ...resultFlags } as const satisfies FlagTable;

export type ManifestFlags = FlagValues<typeof manifestFlags>;

export const manifest = defineCommand({
  about:
    'get shows a manifest or index, put stores one as it is, rm deletes a tag, or a manifest with all its tags where a digest is named. index makes one image for several platforms out of the given ones, which are copied beside it where they are elsewhere. A REF is in a registry, or oci:DIR:TAG.',
  arguments: [
    { name: 'ACTION', summary: 'get, put, rm or index' },
    { name: 'REF', summary: 'NAME[:TAG][@DIGEST]' },
    {
      name: 'FILE|MANIFEST',
      summary: 'put: a file, - is stdin; index: the images, as tags or digests of the same repository, or full names',
      optional: true,
      many: true,
    },
  ],
  flags: manifestFlags,
  flagGroups: {
    Get: Object.keys(getting) as (keyof typeof getting)[],
    'Put, index and rm': Object.keys(changing) as (keyof typeof changing)[],
  },
  examples: [
    { line: 'kiln manifest get --platform linux/arm64 registry.example/site:1.2', says: 'What is the image made of?' },
    {
      line: 'kiln manifest index registry.example/site:1.2 1.2-amd64 1.2-arm64',
      says: 'One name for the images of two platforms',
    },
    { line: 'kiln manifest rm registry.example/site:1.1', says: 'Delete a tag' },
  ],

  async run(context, values, [action = '', ...words]) {
    const { runManifest } = await import('../manifest-run.ts');
    return runManifest(context, values, action, words);
  },
});
