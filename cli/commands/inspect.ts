import { type Descriptor, formatPlatform, type Image, openImage, platformOf } from '../../core/index.ts';
import type { OciLayout } from '../../registry/index.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { printResult, resultFlags } from '../result.ts';
import { findImageHere } from '../short-names.ts';
import { openContent } from '../store.ts';

export const inspect = defineCommand({
  about: 'Prints a JSON array with one object per NAME: its names and digest, its manifest, and its config.',
  arguments: [{ name: 'NAME', summary: 'Names, or digests as kiln images shows them', many: true }],
  flags: {
    json: { kind: 'switch', summary: 'Also print errors as JSON (results always are)' },
    format: resultFlags.format,
  },
  examples: [
    { line: 'kiln inspect site:1.2', says: 'What is in this image?' },
    { line: "kiln inspect --format '{{.config.Entrypoint}}' site:1.2", says: 'One thing of it' },
  ],

  async run(context, { format }, names) {
    const content = await openContent(context);
    const described: object[] = [];
    for (const name of names) described.push(await describeImage(context, content, name));
    const all = JSON.stringify(described, undefined, 2);
    // --json is for errors: what it prints has always been one array.
    printResult(context, { json: false, format: format === 'json' ? undefined : format }, described, all);
    return exitCodes.ok;
  },
});

async function describeImage(context: Context, content: OciLayout, name: string): Promise<object> {
  const { signal } = context;
  const { descriptor } = await findImageHere(context, content, name, { signal });
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
