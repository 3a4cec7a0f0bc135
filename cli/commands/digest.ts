import { parsePlatform, repositoryName } from '../../core/index.ts';
import { selectManifest } from '../../registry/index.ts';
import { defineCommand } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { objectPlace, openObject } from '../objects.ts';
import { registryFlags } from '../registry-flags.ts';
import { checkResultFlags, printResult, resultFlags } from '../result.ts';

export const digest = defineCommand({
  about: 'Asks the registry what a name means, and downloads nothing. oci:DIR:TAG and kiln:NAME are asked here.',
  arguments: [{ name: 'REF', summary: 'NAME[:TAG], or another place of an image' }],
  flags: {
    platform: { kind: 'value', placeholder: 'OS/ARCH', summary: 'Of a multi-platform image, the digest of this one' },
    'full-ref': { kind: 'switch', summary: 'Print REPOSITORY@DIGEST' },
    ...registryFlags,
    ...resultFlags,
  },
  examples: [{ line: 'kiln digest registry.example/site:1.2', says: 'Which image is this at the moment?' }],

  async run(context, flags, [text = '']) {
    checkResultFlags(flags);
    const place = objectPlace(context, text);
    const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform);
    await using source = await openObject(context, flags, place);
    const {
      mediaType,
      digest: found,
      size,
    } = platform === undefined
      ? source.root
      : (await selectManifest(source.content, source.root, { platform, signal: context.signal })).descriptor;
    const repository = place.kind === 'registry' ? repositoryName(place.reference) : source.name;
    const full = `${repository}@${found}`;
    printResult(
      context,
      flags,
      { name: source.name, mediaType, digest: found, size },
      flags['full-ref'] ? full : found,
    );
    return exitCodes.ok;
  },
});
