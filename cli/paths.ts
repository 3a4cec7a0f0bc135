import os from 'node:os';
import path from 'node:path';
import type { HostSources } from '../registry/index.ts';
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
  const candidates = [
    env.REGISTRY_AUTH_FILE && path.resolve(folder, env.REGISTRY_AUTH_FILE),
    dockerConfigFile(env, user, folder),
    xdg(env.XDG_RUNTIME_DIR) && path.join(xdg(env.XDG_RUNTIME_DIR) ?? '', 'containers/auth.json'),
    path.join(configHome(env, user), 'containers/auth.json'),
    path.join(userHome(env, user), '.dockercfg'),
  ];
  return [...new Set(candidates.filter((file): file is string => Boolean(file)))];
}

/** Where containers tools, containerd and Docker keep what is to be known of registries. */
export function hostSources(env: Environment, user: User, folder: string): HostSources {
  const config = configHome(env, user);
  const [mine, everyones] = [path.join(config, 'containers'), '/etc/containers'];
  const dropIns = (...folders: readonly string[]) => folders.map((place) => path.join(place, 'registries.conf.d'));
  const named = env.CONTAINERS_REGISTRIES_CONF;
  // Root of a user namespace has another home: its user's.
  const isRoot = user.uid === 0 && userHome(env, user) === user.home;
  const cache = isRoot ? '/var/cache' : (xdg(env.XDG_CACHE_HOME) ?? path.join(userHome(env, user), '.cache'));
  const systemFolders = dropIns(everyones, mine);
  return {
    registriesConf: named
      ? [{ file: path.resolve(folder, named), folders: systemFolders, isRequired: true }]
      : [
          { file: path.join(mine, 'registries.conf'), folders: dropIns(mine) },
          { file: path.join(everyones, 'registries.conf'), folders: systemFolders },
        ],
    rememberedAliases: [path.join(cache, 'containers/short-name-aliases.conf')],
    hostsFolders: [config, '/etc'].map((place) => path.join(place, 'containerd/certs.d')),
    certificateFolders: ['containers', 'docker', 'containerd'].flatMap((tool) =>
      [config, '/etc'].map((place) => path.join(place, tool, 'certs.d')),
    ),
  };
}

function dockerConfigFile(env: Environment, user: User, folder: string): string {
  const configFolder = env.DOCKER_CONFIG
    ? path.resolve(folder, env.DOCKER_CONFIG)
    : path.join(userHome(env, user), '.docker');
  return path.join(configFolder, 'config.json');
}

function configHome(env: Environment, user: User): string {
  return xdg(env.XDG_CONFIG_HOME) ?? path.join(userHome(env, user), '.config');
}

function userHome(env: Environment, user: User): string {
  return xdg(env.HOME) ?? user.home;
}

/** The XDG base directory specification has relative paths ignored. */
function xdg(value: string | undefined): string | undefined {
  return value !== undefined && path.isAbsolute(value) ? value : undefined;
}
