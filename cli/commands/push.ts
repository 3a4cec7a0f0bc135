import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type PushedImage, pushImage, type Workshop } from '../../builder/index.ts';
import { formatReference, parseReference, type Reference, repositoryName, ToolError } from '../../core/index.ts';
import { parsePlace } from '../../registry/index.ts';
import { defineCommand } from '../command.ts';
import { openWorkshop } from '../compose.ts';
import { compressionFlags, compressionOf } from '../compression-flags.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { findImage, nameForImage } from '../image-names.ts';
import { CopyProgress } from '../progress/copy.ts';
import { registryFlags } from '../registry-flags.ts';
import { printResult, resultFlags } from '../result.ts';

export const push = defineCommand({
  about:
    'Compresses what was built here while it uploads it, skips what the registry has, and tags the image there. A push that was interrupted goes on where it was.',
  arguments: [
    { name: 'NAME', summary: 'Name of an image in the store, NAME[:TAG]' },
    { name: 'DESTINATION', summary: 'Push it as this name, [docker://]NAME[:TAG]', optional: true },
  ],
  flags: {
    'all-tags': { kind: 'switch', short: 'a', summary: 'Push every tag of the repository NAME that is in the store' },
    ...compressionFlags,
    concurrency: { kind: 'value', short: 'j', placeholder: 'N', summary: 'Layers on their way at once' },
    digestfile: { kind: 'value', placeholder: 'FILE', summary: 'Write the digest that the registry has now' },
    quiet: { kind: 'switch', short: 'q', summary: 'Print only the digest' },
    ...resultFlags,
    ...registryFlags,
  },
  examples: [
    { line: 'kiln push registry.example:5000/site:1.2', says: 'Upload an image to the registry in its name' },
    { line: 'kiln push site registry.example/site:1.2', says: 'Upload a local image under another name' },
    { line: 'kiln push --compression zstd registry.example/site:1.2', says: 'Faster to send, and to unpack' },
  ],

  async run(context, flags, [text = '', destination]) {
    const compression = compressionOf(flags);
    const concurrency = concurrencyOf(flags.concurrency);
    const to = destination === undefined ? undefined : destinationOf(destination);
    if (flags['all-tags'] && to !== undefined) {
      throw new ToolError('USAGE_ALL_TAGS', '--all-tags pushes images in their own names, and takes no DESTINATION');
    }
    await using workshop = await openWorkshop(context, flags);
    const image = to === undefined ? undefined : (await findImage(workshop.content, text, context)).descriptor;
    const references = flags['all-tags'] ? await tagsOf(workshop, text) : [to ?? nameForImage(text)];
    const pushed: PushedImage[] = [];
    for (const reference of references) {
      using progress = new CopyProgress('push', context, { quiet: flags.quiet });
      progress.note(`The push refers to ${to === undefined && !flags['all-tags'] ? text : formatReference(reference)}`);
      pushed.push(
        await pushImage(workshop, reference, {
          compression,
          onEvent: progress.onEvent,
          signal: context.signal,
          ...(image === undefined ? {} : { image }),
          ...(concurrency === undefined ? {} : { concurrency }),
        }),
      );
    }
    if (flags.digestfile !== undefined) await writeDigests(context, flags.digestfile, pushed);
    const results = pushed.map(({ name, descriptor: { digest, size } }) => ({ name, digest, size }));
    const lines = () =>
      results.map(({ name, digest, size }) =>
        flags.quiet ? digest : `${parseReference(name).tag}: digest: ${digest} size: ${size}`,
      );
    printResult(context, flags, results, () => lines().join('\n'));
    return exitCodes.ok;
  },
});

/** As podman has it: `docker://NAME`, or the name alone. */
function destinationOf(text: string): Reference {
  const place = parsePlace(text, 'registry');
  if (place.kind === 'registry') return nameForImage(formatReference(place.reference));
  throw new ToolError('USAGE_DESTINATION', `${JSON.stringify(text)} is no name in a registry`, {
    hint: 'other places take `kiln copy kiln:NAME PLACE`, or `kiln save`',
  });
}

/** @throws ToolError USAGE_ALL_TAGS */
async function tagsOf(workshop: Workshop, text: string): Promise<readonly Reference[]> {
  const wanted = nameForImage(text);
  if (/:[^/]+$/.test(text)) {
    throw new ToolError('USAGE_ALL_TAGS', `--all-tags takes a name without a tag, and ${text} has one`);
  }
  const named = (await workshop.content.list()).map(({ name }) => parseReference(name));
  const found = named.filter((reference) => repositoryName(reference) === repositoryName(wanted));
  if (found.length > 0) return found;
  throw new ToolError('IMAGE_NOT_FOUND', `there is no image ${repositoryName(wanted)} in the store`, {
    hint: 'see `kiln images` for what there is; build or pull it first',
  });
}

async function writeDigests(context: Context, file: string, pushed: readonly PushedImage[]): Promise<void> {
  const place = path.resolve(context.folder, file);
  try {
    await writeFile(place, pushed.map(({ descriptor }) => descriptor.digest).join('\n'));
  } catch (cause) {
    throw new ToolError('USAGE_DIGESTFILE', `--digestfile: ${place} cannot be written`, { cause });
  }
}

/** @throws ToolError USAGE_CONCURRENCY */
function concurrencyOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  throw new ToolError('USAGE_CONCURRENCY', `--concurrency ${JSON.stringify(text)} is not a number from 1 to 99`);
}
