import { ToolError } from '../../core/index.ts';
import { defineCommand } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { loginKey } from '../login-key.ts';
import { connectionFlags, openCredentialStore } from '../registry-flags.ts';

export const logout = defineCommand({
  about: 'Takes away what kiln login would have saved: from REGISTRY_AUTH_FILE, else from where Docker keeps it.',
  arguments: [{ name: 'REGISTRY', summary: 'HOST[:PORT][/PATH] (default docker.io)', optional: true }],
  flags: {
    all: { kind: 'switch', short: 'a', summary: 'Of every registry' },
    authfile: connectionFlags.authfile,
    'registry-config': connectionFlags['registry-config'],
  },
  examples: [{ line: 'kiln logout registry.example:5000', says: 'Forget what kiln login saved' }],

  async run(context, flags, [text]) {
    const { terminal, signal } = context;
    const store = openCredentialStore(context, flags);
    if (flags.all) {
      if (text !== undefined) throw new ToolError('USAGE_ARGUMENTS', '--all and a registry exclude each other');
      const erased = await store.eraseAll({ signal });
      terminal.out.write(erased.map((key) => `Removing login credentials for ${key}\n`).join(''));
      return exitCodes.ok;
    }
    const { key, registry, repository } = loginKey(text);
    const erased = await store.erase(key, { signal });
    terminal.out.write(erased ? `Removing login credentials for ${key}\n` : `Not logged in to ${key}\n`);
    const stays = await store.whereFound(registry, { signal, ...repository });
    if (stays !== undefined) terminal.err.write(`There still are credentials for ${registry} in ${stays}\n`);
    return exitCodes.ok;
  },
});
