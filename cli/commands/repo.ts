import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import { registryFlags } from '../registry-flags.ts';
import { resultFlags } from '../result.ts';

export const repoFlags = {
  last: { kind: 'value', placeholder: 'TAG', summary: 'tags: only those the registry lists after this one' },
  'exclude-digest-tags': {
    kind: 'switch',
    summary: 'tags: leave out sha256-…, which hold signatures and lists of referrers',
  },
  ...registryFlags,
  ...resultFlags,
} as const satisfies FlagTable;

export type RepoFlags = FlagValues<typeof repoFlags>;

export const repo = defineCommand({
  about:
    'ls lists the repositories of a registry that tells them, tags the tags of one repository. tags takes oci:DIR as well, and REPOSITORY@DIGEST for only those tags that mean this image.',
  arguments: [
    { name: 'ACTION', summary: 'ls or tags' },
    { name: 'NAME', summary: 'ls: REGISTRY[/NAMESPACE]; tags: REPOSITORY[@DIGEST]' },
  ],
  flags: repoFlags,
  examples: [
    { line: 'kiln repo ls registry.example:5000/team', says: 'The repositories below team/' },
    { line: 'kiln repo tags registry.example:5000/team/site', says: 'The tags of one' },
    {
      line: "kiln repo tags --format '{{len .tags}}' registry.example:5000/team/site",
      says: 'How many are there?',
    },
  ],

  async run(context, values, [action = '', ...words]) {
    const { runRepo } = await import('../repo-run.ts');
    return runRepo(context, values, action, words);
  },
});
