import { removeImages } from '../../builder/index.ts';
import { defineCommand } from '../command.ts';
import { openWorkshop } from '../compose.ts';
import { exitCodes } from '../exit-codes.ts';
import { namesToRemove } from '../image-names.ts';
import { withRootFileSystems } from '../privilege.ts';

export const rmi = defineCommand({
  about:
    'Takes the names away. What no name and no cached step needs any more is deleted, unless another kiln uses the store at the moment; then the next rmi does it.',
  arguments: [{ name: 'NAME', summary: 'Names to remove; a digest stands for its only name', many: true }],
  flags: {
    force: { kind: 'switch', short: 'f', summary: 'Ignore names that are not there, and remove all names of a digest' },
    json: { kind: 'switch', summary: 'Print one JSON object per removed name, and errors as such' },
  },
  examples: [{ line: 'kiln rmi site:1.1 site:1.0', says: 'Remove two names' }],

  run(context, flags, names) {
    return withRootFileSystems(context, async () => {
      await using workshop = await openWorkshop(context);
      const references = await namesToRemove(workshop.content, names, { force: flags.force, signal: context.signal });
      const removed = await removeImages(workshop, references, { signal: context.signal });
      for (const { name, digest } of removed) {
        context.terminal.out.write(flags.json ? `${JSON.stringify({ name, digest })}\n` : `Untagged: ${name}\n`);
      }
      return exitCodes.ok;
    });
  },
});
