import { pullImage } from '../../builder/index.ts';
import { formatReference, parsePlatform, parseReference, platformOf, withDefaultTag } from '../../core/index.ts';
import { defineCommand } from '../command.ts';
import { openWorkshop } from '../compose.ts';
import { exitCodes } from '../exit-codes.ts';
import { CopyProgress } from '../progress/copy.ts';

export const pull = defineCommand({
  about: 'Downloads what the store does not have. NAME may end in @sha256:… to get exactly that.',
  arguments: [{ name: 'NAME', summary: 'NAME[:TAG][@DIGEST]' }],
  flags: {
    platform: {
      kind: 'value',
      placeholder: 'OS/ARCH',
      summary: 'Which image of a multi-platform one (default: this machine’s)',
    },
    quiet: { kind: 'switch', short: 'q', summary: 'Print only the name in full' },
    json: { kind: 'switch', summary: 'Print the result as one JSON object, and errors as such' },
  },
  examples: [{ line: 'kiln pull registry.example:5000/site:1.2', says: 'Get an image into the store' }],

  async run(context, flags, [text = '']) {
    const reference = withDefaultTag(parseReference(text));
    const platform = flags.platform === undefined ? platformOf(process.arch) : parsePlatform(flags.platform);
    await using workshop = await openWorkshop(context);
    using progress = new CopyProgress('pull', context, { quiet: flags.quiet });
    progress.note(`${reference.tag ?? reference.digest}: Pulling from ${reference.repository}`);
    const {
      moved,
      name,
      registryDigest,
      registrySize: size,
    } = await pullImage(workshop, reference, {
      platform,
      onEvent: progress.onEvent,
      signal: context.signal,
    });
    progress.note(moved ? `Status: Downloaded newer image for ${text}` : `Status: Image is up to date for ${text}`);
    progress[Symbol.dispose]();
    const line = flags.quiet
      ? formatReference(reference)
      : `${reference.tag ?? text}: digest: ${registryDigest} size: ${size}`;
    context.terminal.out.write(
      `${flags.json ? JSON.stringify({ name, digest: registryDigest, size, moved }) : line}\n`,
    );
    return exitCodes.ok;
  },
});
