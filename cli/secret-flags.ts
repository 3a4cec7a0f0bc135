import type { SecretSource } from '../builder/index.ts';
import type { Context } from './context.ts';

export const noSecrets: SecretSource = { find: async () => undefined };

/** `--secret id=ID[,src=FILE|,env=NAME]`; with an id alone, the variable of that name. @throws ToolError USAGE_SECRET */
export function secretsOf(_flags: readonly string[], _context: Context): SecretSource {
  return noSecrets;
}

/** `--ssh default|ID[=SOCKET]`; without a socket, that of SSH_AUTH_SOCK. @throws ToolError USAGE_SSH */
export function sshAgentsOf(_flags: readonly string[], _context: Context): ReadonlyMap<string, string> {
  return new Map();
}
