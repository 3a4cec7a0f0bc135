import { errorCode, ToolError } from '../../core/index.ts';
import { verifyLogin } from '../../registry/index.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { ask, readSecret } from '../prompt.ts';
import { openCredentialStore, userAgent } from '../registry-flags.ts';
import { registryName } from '../registry-name.ts';
import { warn } from '../warn.ts';

export const login = defineCommand({
  about:
    'Asks the registry first, and saves only what it accepts: in REGISTRY_AUTH_FILE, else where Docker keeps it, with its credential helper if one is set.',
  arguments: [{ name: 'REGISTRY', summary: 'HOST[:PORT] (default docker.io)', optional: true }],
  flags: {
    username: { kind: 'value', short: 'u', placeholder: 'NAME', summary: 'Asked for when not given' },
    password: {
      kind: 'value',
      short: 'p',
      placeholder: 'SECRET',
      summary: 'Visible to others on this machine; better --password-stdin',
    },
    'password-stdin': { kind: 'switch', summary: 'Read the password from stdin' },
    json: { kind: 'switch', summary: 'Print the result as one JSON object, and errors as such' },
  },
  examples: [
    { line: 'kiln login -u me --password-stdin registry.example:5000 < token.txt', says: 'Log in without typing' },
  ],

  async run(context, flags, [text]) {
    const registry = registryName(text);
    const credential = await askForCredential(context, flags);
    try {
      await verifyLogin(registry, credential, {
        credentials: { find: async () => credential },
        userAgent,
        onWarning: (warning) => warn(context, warning),
        signal: context.signal,
      });
    } catch (cause) {
      if (errorCode(cause) !== 'REGISTRY_UNAUTHORIZED') throw cause;
      throw new ToolError('REGISTRY_UNAUTHORIZED', `${registry} refused this user name and password`, { cause });
    }
    const savedIn = await openCredentialStore(context).save(registry, credential, { signal: context.signal });
    context.terminal.err.write(`Saved in ${savedIn}\n`);
    context.terminal.out.write(flags.json ? `${JSON.stringify({ registry, savedIn })}\n` : 'Login Succeeded\n');
    return exitCodes.ok;
  },
});

type LoginFlags = Parameters<typeof login.run>[1];

async function askForCredential(context: Context, flags: LoginFlags): Promise<{ username: string; secret: string }> {
  const { terminal, signal } = context;
  const fromStdin = flags['password-stdin'];
  if (fromStdin && flags.password !== undefined) {
    throw new ToolError('USAGE_PASSWORD', '--password and --password-stdin exclude each other');
  }
  if (fromStdin && flags.username === undefined) {
    throw new ToolError('USAGE_PASSWORD', '--password-stdin needs --username', { hint: 'add -u NAME' });
  }
  if (flags.password !== undefined)
    warn(context, 'a password in --password is visible to others; use --password-stdin');
  const hint = 'give -u NAME and --password-stdin';
  const username = flags.username ?? (await ask(terminal, 'Username', { signal, hint }));
  const secret = fromStdin
    ? await readSecret(terminal, { signal })
    : (flags.password ?? (await ask(terminal, 'Password', { signal, hint, secret: true })));
  if (username === '' || secret === '') {
    throw new ToolError('USAGE_PASSWORD', `the ${username === '' ? 'username' : 'password'} is empty`);
  }
  return { username, secret };
}
