import { defineCommand } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { openCredentialStore } from '../registry-flags.ts';
import { registryName } from '../registry-name.ts';

export const logout = defineCommand({
  arguments: [{ name: 'REGISTRY', summary: 'HOST[:PORT] (default docker.io)', optional: true }],
  flags: {},
  examples: [{ line: 'kiln logout registry.example:5000', says: 'Forget what kiln login saved' }],

  async run(context, _flags, [text]) {
    const registry = registryName(text);
    const erased = await openCredentialStore(context).erase(registry, { signal: context.signal });
    context.terminal.out.write(
      erased ? `Removing login credentials for ${registry}\n` : `Not logged in to ${registry}\n`,
    );
    return exitCodes.ok;
  },
});
