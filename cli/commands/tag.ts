import { formatReference } from '../../core/index.ts';
import { defineCommand } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';

export const tag = defineCommand({
  arguments: [
    { name: 'SOURCE', summary: 'Name or digest of an image in the store' },
    { name: 'NAME', summary: 'Its further name, NAME[:TAG]' },
  ],
  flags: {},
  examples: [{ line: 'kiln tag site:1.2 registry.example:5000/site:1.2', says: 'Name an image for its registry' }],

  async run(context, _flags, [source = '', name = '']) {
    const [{ openContent }, { nameForImage }, { findImageHere }] = await Promise.all([
      import('../store.ts'),
      import('../image-names.ts'),
      import('../short-names.ts'),
    ]);
    const content = await openContent(context);
    const { descriptor } = await findImageHere(context, content, source, context);
    await content.tag(descriptor, formatReference(nameForImage(name)), { signal: context.signal });
    return exitCodes.ok;
  },
});
