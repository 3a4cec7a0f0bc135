import { describe, expect, it } from 'vitest';
import { findSecrets } from './secret-mounts.ts';

describe('findSecrets', () => {
  const mount = { kind: 'secret', id: 't', required: true } as const;

  it.each([
    ['was not given', undefined, 'the step needs the secret t, which was not given'],
    [
      'is a variable that is not set',
      'the variable T is not set',
      'the step needs the secret t, but the variable T is not set',
    ],
  ])('says why there is none when it %s', async (_, why, message) => {
    const source = { find: async () => undefined, absence: () => why };

    await expect(findSecrets([mount], source, {})).rejects.toMatchObject({ code: 'SECRET_MISSING', message });
  });
});
