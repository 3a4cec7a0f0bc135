import { describe, expect, it } from 'vitest';
import { loginKey } from './login-key.ts';

describe('loginKey', () => {
  it.each([
    [undefined, 'docker.io', 'docker.io'],
    ['docker.io', 'docker.io', 'docker.io'],
    ['https://index.docker.io/v1/', 'docker.io', 'docker.io'],
    ['registry.example:5000', 'registry.example:5000', 'registry.example:5000'],
    ['https://registry.example/v2/', 'registry.example', 'registry.example'],
    ['registry.example/', 'registry.example', 'registry.example'],
    ['localhost', 'localhost', 'localhost'],
    ['quay.io/team/app', 'quay.io/team/app', 'quay.io'],
    ['docker.io/me', 'docker.io/me', 'docker.io'],
  ])('takes %s as %s of %s', (text, key, registry) => {
    expect(loginKey(text)).toMatchObject({ key, registry });
  });

  it.each(['', 'team', 'team/app', 'quay.io/team:tag', 'quay.io/Team', 'https://quay.io/team', 'a b', 'user@quay.io'])(
    'refuses %j',
    (text) => {
      expect(() => loginKey(text)).toThrow('is not a registry');
    },
  );
});
