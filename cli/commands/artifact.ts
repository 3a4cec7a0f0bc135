import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { registryFlags } from '../registry-flags.ts';
import { resultFlags } from '../result.ts';

const pushing = {
  'artifact-type': { kind: 'value', placeholder: 'TYPE', summary: 'push, attach: what it is; discover: only these' },
  config: { kind: 'value', placeholder: 'FILE[:TYPE]', summary: 'push: its config (default: the empty one)' },
  annotation: { kind: 'list', short: 'a', placeholder: 'KEY=VALUE', summary: 'push, attach: of the manifest' },
  'annotation-file': {
    kind: 'value',
    placeholder: 'FILE',
    summary: 'push, attach: JSON: {"$manifest": {…}, "$config": {…}, "file.txt": {…}}',
  },
  subject: { kind: 'value', placeholder: 'REF', summary: 'push: refer to this image of the same repository' },
} as const satisfies FlagTable;

const pulling = {
  output: { kind: 'value', short: 'o', placeholder: 'FOLDER', summary: 'pull: where the files go (default: here)' },
  'keep-old-files': { kind: 'switch', short: 'k', summary: 'pull: fail where a file is there already' },
  overwrite: { kind: 'switch', summary: 'pull: replace files that are there (what is done unless said)' },
  'include-subject': { kind: 'switch', summary: 'pull: also the files of what it refers to' },
  platform: { kind: 'value', placeholder: 'OS/ARCH', summary: 'Of an index, this manifest' },
} as const satisfies FlagTable;

const discovering = {
  depth: { kind: 'value', placeholder: 'N', summary: 'discover: how far to follow (default: to the end)' },
  verbose: { kind: 'switch', short: 'v', summary: 'discover: show annotations as well' },
} as const satisfies FlagTable;

export const artifactFlags = {
  ...pushing,
  ...pulling,
  ...discovering,
  ...registryFlags,
  ...resultFlags,
} as const satisfies FlagTable;

export type ArtifactFlags = FlagValues<typeof artifactFlags>;

export const artifact = defineCommand({
  about:
    'Files of any kind in a registry, as oras keeps them. push stores files and folders under a name, pull writes them to disk, attach adds files that refer to an image (a signature, an SBOM), discover shows what refers to one. A REF is in a registry, or oci:DIR[:TAG] is a folder. A folder becomes one tar.gz without owners and times: the same files always have the same digest.',
  arguments: [
    { name: 'ACTION', summary: 'push, pull, attach or discover' },
    { name: 'REF', summary: 'The artifact; of attach and discover, the image' },
    {
      name: 'FILE[:TYPE]',
      summary: 'push, attach: a file or folder below this one, its media type; - is stdin',
      optional: true,
      many: true,
    },
  ],
  flags: artifactFlags,
  flagGroups: {
    'Push and attach': Object.keys(pushing) as (keyof typeof pushing)[],
    Pull: Object.keys(pulling) as (keyof typeof pulling)[],
    Discover: Object.keys(discovering) as (keyof typeof discovering)[],
  },
  examples: [
    {
      line: 'kiln artifact push r.example/site/docs:1 docs README.md:text/markdown',
      says: 'Store a folder and a file',
    },
    { line: 'kiln artifact pull r.example/site/docs:1 -o out', says: 'Get them back' },
    {
      line: 'kiln artifact attach --artifact-type text/spdx r.example/site:1.2 sbom.spdx',
      says: 'Give an image its SBOM',
    },
    { line: 'kiln artifact discover r.example/site:1.2', says: 'What refers to this image?' },
  ],

  async run(context, values, [action = '', ...words]) {
    const { runArtifact } = await import('../artifact-run.ts');
    return runArtifact(context, values, action, words);
  },
});
