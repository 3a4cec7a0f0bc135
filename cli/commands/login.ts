import { errorCode, ToolError } from '../../core/index.ts';
import { type Credential, verifyLogin } from '../../registry/index.ts';
import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { loginKey } from '../login-key.ts';
import { askForLogin, secretFromStdin } from '../registry-credentials.ts';
import { connectionFlags, openCredentialStore, remoteOptions } from '../registry-flags.ts';

const ownFlags = {
  username: { kind: 'value', short: 'u', placeholder: 'NAME', summary: 'Asked for when not given' },
  password: {
    kind: 'value',
    short: 'p',
    placeholder: 'SECRET',
    summary: 'Visible to others on this machine; better --password-stdin',
  },
  'password-stdin': { kind: 'switch', summary: 'Read the password from stdin' },
  'identity-token': { kind: 'switch', summary: 'The password is an identity token, which needs no user name' },
  'get-login': { kind: 'switch', summary: 'Only print the user name that is saved' },
  json: { kind: 'switch', summary: 'Print the result as one JSON object, and errors as such' },
} as const satisfies FlagTable;

const flags = { ...ownFlags, ...connectionFlags } as const satisfies FlagTable;

type LoginFlags = FlagValues<typeof flags>;

export const login = defineCommand({
  about:
    'Asks the registry first, and saves only what it accepts: in REGISTRY_AUTH_FILE, else where Docker keeps it, with its credential helper if one is set. With a path behind the host it is for names that begin so.',
  arguments: [{ name: 'REGISTRY', summary: 'HOST[:PORT][/PATH] (default docker.io)', optional: true }],
  flags,
  flagGroups: {
    Flags: Object.keys(ownFlags) as (keyof typeof ownFlags)[],
    'How registries are reached': Object.keys(connectionFlags) as (keyof typeof connectionFlags)[],
  },
  examples: [
    { line: 'kiln login -u me --password-stdin registry.example:5000 < token.txt', says: 'Log in without typing' },
    { line: 'kiln login quay.io/team', says: 'Log in for the repositories of a team' },
  ],

  async run(context, flags, [text]) {
    const { key, registry, repository } = loginKey(text);
    const store = openCredentialStore(context, flags);
    if (flags['get-login']) {
      return getLogin(context, key, await store.find(registry, { signal: context.signal, ...repository }));
    }
    const credential = await askForCredential(context, flags);
    try {
      await verifyLogin(registry, credential, {
        ...remoteOptions(context, { ...flags, username: undefined, 'password-stdin': false }),
        signal: context.signal,
      });
    } catch (cause) {
      if (errorCode(cause) !== 'REGISTRY_UNAUTHORIZED') throw cause;
      const what = 'identityToken' in credential ? 'this identity token' : 'this user name and password';
      throw new ToolError('REGISTRY_UNAUTHORIZED', `${registry} refused ${what}`, {
        cause,
        hint: 'nothing was saved; try again',
      });
    }
    const savedIn = await store.save(key, credential, { signal: context.signal });
    context.terminal.err.write(`Saved in ${savedIn}\n`);
    context.terminal.out.write(flags.json ? `${JSON.stringify({ registry: key, savedIn })}\n` : 'Login Succeeded\n');
    return exitCodes.ok;
  },
});

function getLogin({ terminal }: Context, key: string, found: Credential | undefined): number {
  if (found === undefined) throw new ToolError('REGISTRY_NOT_LOGGED_IN', `not logged in to ${key}`);
  terminal.out.write(`${found.username ?? '<token>'}\n`);
  return exitCodes.ok;
}

async function askForCredential(context: Context, flags: LoginFlags): Promise<Credential> {
  if (!flags['identity-token']) return askForLogin(context, flags);
  if (!flags['password-stdin']) {
    throw new ToolError('USAGE_CREDENTIALS', '--identity-token needs --password-stdin', {
      hint: 'kiln login --identity-token --password-stdin REGISTRY < FILE',
    });
  }
  const identityToken = await secretFromStdin(context);
  if (identityToken === '') throw new ToolError('USAGE_CREDENTIALS', 'the identity token is empty');
  return { identityToken, ...(flags.username === undefined ? {} : { username: flags.username }) };
}
