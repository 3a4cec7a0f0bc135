import { pushImage } from '../../builder/index.ts';
import { defineCommand } from '../command.ts';
import { openWorkshop } from '../compose.ts';
import { exitCodes } from '../exit-codes.ts';
import { nameForImage } from '../image-names.ts';
import { CopyProgress } from '../progress/copy.ts';

export const push = defineCommand({
  about: 'Compresses what was built here, uploads what the registry does not have, and tags it there.',
  arguments: [{ name: 'NAME', summary: 'Name of an image in the store, NAME[:TAG]' }],
  flags: {
    quiet: { kind: 'switch', short: 'q', summary: 'Print only the digest' },
    json: { kind: 'switch', summary: 'Print the result as one JSON object, and errors as such' },
  },
  examples: [{ line: 'kiln push registry.example:5000/site:1.2', says: 'Upload an image to the registry in its name' }],

  async run(context, flags, [text = '']) {
    const reference = nameForImage(text);
    await using workshop = await openWorkshop(context);
    using progress = new CopyProgress('push', context, { quiet: flags.quiet });
    progress.note(`The push refers to ${text}`);
    const { name, descriptor } = await pushImage(workshop, reference, {
      onEvent: progress.onEvent,
      signal: context.signal,
    });
    progress[Symbol.dispose]();
    const { digest, size } = descriptor;
    const line = flags.quiet ? digest : `${reference.tag}: digest: ${digest} size: ${size}`;
    context.terminal.out.write(`${flags.json ? JSON.stringify({ name, digest, size }) : line}\n`);
    return exitCodes.ok;
  },
});
