import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findUser } from './users.ts';

const files = {
  passwd: Buffer.from(
    'root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/var/www:\nbroken:x:-1:a::/:\n1000:x:7:7::/seven:\n',
  ),
  group: Buffer.from('root:x:0:\nwww:x:33:\naudio:x:29:www,root\nvideo:x:28:www\n'),
};

describe('findUser', () => {
  it('takes group, home and memberships from the account files', () => {
    expect(findUser('www', files)).toEqual({ uid: 33, gid: 33, additionalGids: [28, 29], home: '/var/www' });
  });

  it('needs no entry for numbers', () => {
    expect(findUser('4711', files)).toEqual({ uid: 4711, gid: 0, additionalGids: [], home: '/' });
    expect(findUser('4711:12', { passwd: undefined, group: undefined })).toEqual({
      uid: 4711,
      gid: 12,
      additionalGids: [],
      home: '/',
    });
  });

  it('prefers a name that looks like a number', () => {
    expect(findUser('1000', files).uid).toBe(7);
  });

  it('drops memberships when a group is given', () => {
    expect(findUser('www:audio', files)).toEqual({ uid: 33, gid: 29, additionalGids: [], home: '/var/www' });
  });

  it.each([
    ['nobody', 'USER_NOT_FOUND'],
    ['www:nogroup', 'GROUP_NOT_FOUND'],
    ['a:b:c', 'USER_INVALID'],
    ['broken', 'USER_INVALID'],
    ['4294967295', 'USER_NOT_FOUND'],
  ])('refuses %s', (text, code) => {
    expect(() => findUser(text, files)).toThrow(expect.objectContaining({ code }));
  });

  it('never crashes on hostile account files', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.uint8Array({ maxLength: 300 }),
        fc.string(),
        (passwd, group, text) => {
          try {
            const found = findUser(text, { passwd: Buffer.from(passwd), group: Buffer.from(group) });
            expect(found.uid).toBeLessThan(2 ** 32 - 1);
          } catch (error) {
            expect(error).toHaveProperty('hint');
          }
        },
      ),
    );
  });
});
