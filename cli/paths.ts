import os from 'node:os';
import path from 'node:path';
import type { Environment } from './context.ts';

/** Whose process this is. */
export interface User {
  readonly uid: number;
  /** From the user database, for when HOME is not set. */
  readonly home: string;
}

/** This process's user; inside the user namespace that Kiln makes, uid 0. */
export function currentUser(): User {
  try {
    const { uid, homedir } = os.userInfo();
    return { uid, home: homedir };
  } catch {
    // A container may be run as a number that has no entry in its /etc/passwd.
    return { uid: process.getuid?.() ?? 0, home: '/' };
  }
}

/** Absolute path of the store: KILN_HOME, else by user. */
export function storeHome(env: Environment, user: User, folder: string): string {
  if (env.KILN_HOME) return path.resolve(folder, env.KILN_HOME);
  if (user.uid === 0) return '/var/lib/kiln';
  return path.join(xdg(env.XDG_DATA_HOME) ?? path.join(userHome(env, user), '.local/share'), 'kiln');
}

/**
 * Files that may hold credentials, Docker's and the containers tools'. The first that knows a registry wins; logins are
 * saved in the first.
 */
export function credentialFiles(env: Environment, user: User, folder: string): string[] {
  const home = userHome(env, user);
  const candidates = [
    env.REGISTRY_AUTH_FILE && path.resolve(folder, env.REGISTRY_AUTH_FILE),
    dockerConfigFile(env, user, folder),
    xdg(env.XDG_RUNTIME_DIR) && path.join(xdg(env.XDG_RUNTIME_DIR) ?? '', 'containers/auth.json'),
    path.join(xdg(env.XDG_CONFIG_HOME) ?? path.join(home, '.config'), 'containers/auth.json'),
  ];
  return [...new Set(candidates.filter((file): file is string => Boolean(file)))];
}

function dockerConfigFile(env: Environment, user: User, folder: string): string {
  const configFolder = env.DOCKER_CONFIG
    ? path.resolve(folder, env.DOCKER_CONFIG)
    : path.join(userHome(env, user), '.docker');
  return path.join(configFolder, 'config.json');
}

function userHome(env: Environment, user: User): string {
  return xdg(env.HOME) ?? user.home;
}

/** The XDG base directory specification has relative paths ignored. */
function xdg(value: string | undefined): string | undefined {
  return value !== undefined && path.isAbsolute(value) ? value : undefined;
}
