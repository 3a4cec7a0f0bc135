import type { Environment } from './context.ts';

/** HTTP_PROXY and its kin in both cases, for registries and for what runs in a build. */
export function proxyVariables(env: Environment): Record<string, string> {
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'ALL_PROXY', 'FTP_PROXY'];
  return Object.fromEntries(
    names
      .flatMap((name) => [name, name.toLowerCase()])
      .flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
  );
}
