import { describe, expect, it } from 'vitest';
import { credentialFiles, hostSources, storeHome } from './paths.ts';

const user = { uid: 1000, home: '/home/someone' };
const root = { uid: 0, home: '/root' };

describe('storeHome', () => {
  it.each([
    { title: 'root', env: {}, who: root, home: '/var/lib/kiln' },
    { title: 'a user', env: { HOME: '/h' }, who: user, home: '/h/.local/share/kiln' },
    { title: 'a user without HOME', env: {}, who: user, home: '/home/someone/.local/share/kiln' },
    { title: 'a user with XDG_DATA_HOME', env: { HOME: '/h', XDG_DATA_HOME: '/d' }, who: user, home: '/d/kiln' },
    {
      title: 'a relative XDG_DATA_HOME',
      env: { HOME: '/h', XDG_DATA_HOME: 'd' },
      who: user,
      home: '/h/.local/share/kiln',
    },
    { title: 'an empty KILN_HOME', env: { KILN_HOME: '' }, who: root, home: '/var/lib/kiln' },
    { title: 'KILN_HOME', env: { KILN_HOME: '/k' }, who: user, home: '/k' },
    { title: 'a relative KILN_HOME', env: { KILN_HOME: 'k' }, who: root, home: '/work/k' },
  ])('is $home for $title', ({ env, who, home }) => {
    expect(storeHome(env, who, '/work')).toBe(home);
  });
});

describe('credentialFiles', () => {
  it('asks the named file, then Docker’s, then those of the containers tools', () => {
    const env = {
      HOME: '/h',
      REGISTRY_AUTH_FILE: 'auth.json',
      DOCKER_CONFIG: '/docker',
      XDG_RUNTIME_DIR: '/run/user/1000',
      XDG_CONFIG_HOME: '/c',
    };

    expect(credentialFiles(env, user, '/work')).toEqual([
      '/work/auth.json',
      '/docker/config.json',
      '/run/user/1000/containers/auth.json',
      '/c/containers/auth.json',
      '/h/.dockercfg',
    ]);
  });

  it('falls back to what is below the home folder', () => {
    expect(credentialFiles({ HOME: '/h' }, user, '/work')).toEqual([
      '/h/.docker/config.json',
      '/h/.config/containers/auth.json',
      '/h/.dockercfg',
    ]);
  });
});

describe('hostSources', () => {
  it('looks where containers tools, containerd and Docker do, the user’s own first', () => {
    expect(hostSources({ HOME: '/h' }, user, '/work')).toEqual({
      registriesConf: [
        { file: '/h/.config/containers/registries.conf', folders: ['/h/.config/containers/registries.conf.d'] },
        {
          file: '/etc/containers/registries.conf',
          folders: ['/etc/containers/registries.conf.d', '/h/.config/containers/registries.conf.d'],
        },
      ],
      rememberedAliases: ['/h/.cache/containers/short-name-aliases.conf'],
      hostsFolders: ['/h/.config/containerd/certs.d', '/etc/containerd/certs.d'],
      certificateFolders: [
        '/h/.config/containers/certs.d',
        '/etc/containers/certs.d',
        '/h/.config/docker/certs.d',
        '/etc/docker/certs.d',
        '/h/.config/containerd/certs.d',
        '/etc/containerd/certs.d',
      ],
    });
  });

  it('takes the file that CONTAINERS_REGISTRIES_CONF names, which must be there', () => {
    const { registriesConf } = hostSources({ HOME: '/h', CONTAINERS_REGISTRIES_CONF: 'r.conf' }, user, '/work');

    expect(registriesConf).toEqual([
      {
        file: '/work/r.conf',
        folders: ['/etc/containers/registries.conf.d', '/h/.config/containers/registries.conf.d'],
        isRequired: true,
      },
    ]);
  });
});
