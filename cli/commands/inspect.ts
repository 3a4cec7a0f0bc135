import { type Descriptor, formatPlatform, type Image, openImage, platformOf } from '../../core/index.ts';
import type { OciLayout } from '../../registry/index.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { findImage } from '../image-names.ts';
import { openContent } from '../store.ts';

export const inspect = defineCommand({
  about: 'Prints a JSON array with one object per NAME: its names and digest, its manifest, and its config.',
  arguments: [{ name: 'NAME', summary: 'Names, or digests as kiln images shows them', many: true }],
  flags: {
    json: { kind: 'switch', summary: 'Also print errors as JSON (results always are)' },
  },
  examples: [{ line: 'kiln inspect site:1.2', says: 'What is in this image?' }],

  async run(context, _flags, names) {
    const content = await openContent(context);
    const described: unknown[] = [];
    for (const name of names) described.push(await describeImage(content, name, context));
    context.terminal.out.write(`${JSON.stringify(described, undefined, 2)}\n`);
    return exitCodes.ok;
  },
});

async function describeImage(content: OciLayout, name: string, { signal }: Context): Promise<unknown> {
  const { descriptor } = await findImage(content, name, { signal });
  const image = await openImage(content, descriptor, { signal, platform: platformOf(process.arch) });
  const named = await content.list();
  return {
    names: named.filter((entry) => entry.descriptor.digest === descriptor.digest).map((entry) => entry.name),
    digest: descriptor.digest,
    mediaType: descriptor.mediaType,
    platform: formatPlatform(image.config),
    created: image.config.created,
    sizeBytes: sizeOf(image),
    manifest: { digest: image.descriptor.digest, annotations: image.annotations, config: image.manifest.config },
    layers: image.layers.map(({ descriptor: { digest, mediaType, size }, diffId }) => ({
      digest,
      mediaType,
      size,
      diffId,
    })),
    config: image.config.config,
    history: image.config.history,
  };
}

function sizeOf(image: Image): number {
  return image.layers.reduce((sum: number, { descriptor }: { descriptor: Descriptor }) => sum + descriptor.size, 0);
}
