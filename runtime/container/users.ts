import { ToolError } from '../../core/index.ts';

/** Who a process runs as, in numbers. */
export interface UserIds {
  readonly uid: number;
  readonly gid: number;
  /** Groups besides `gid`, ascending. */
  readonly additionalGids: readonly number[];
  /** Home folder out of etc/passwd, `/` when the user has no entry there. */
  readonly home: string;
}

/** The image's account files as they are; undefined where the image has none. */
export interface AccountFiles {
  readonly passwd: Buffer | undefined;
  readonly group: Buffer | undefined;
}

/** Account files over this many bytes are refused: they come from images, which are hostile. */
export const maxAccountFileBytes = 1024 * 1024;

const maxId = 2 ** 32 - 2;

/**
 * Finds `user`, `uid`, `user:group` or `uid:gid` the way Docker does: numbers need no entry, names must have one; the
 * groups a user is listed in are joined unless a group is given.
 * @throws ToolError USER_NOT_FOUND, GROUP_NOT_FOUND, USER_INVALID
 */
export function findUser(text: string, files: AccountFiles): UserIds {
  const [userText = '', groupText, ...rest] = text.split(':');
  if (rest.length > 0 || groupText === '') throw invalid(text);
  const accounts = records(files.passwd);
  const groups = records(files.group);
  const account = findAccount(userText === '' ? '0' : userText, accounts);
  const gid = groupText === undefined ? account.gid : findGroup(groupText, groups);
  const additionalGids = groupText === undefined && account.name !== undefined ? memberships(account.name, groups) : [];
  return { uid: account.uid, gid, additionalGids: additionalGids.filter((id) => id !== gid), home: account.home };
}

interface Account {
  readonly name?: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

function findAccount(text: string, accounts: readonly string[][]): Account {
  const number = parseId(text);
  const byName = accounts.find(([name]) => name === text);
  const entry = byName ?? (number === undefined ? undefined : accounts.find(([, , uid]) => parseId(uid) === number));
  if (entry === undefined) {
    if (number === undefined) {
      throw new ToolError('USER_NOT_FOUND', `the image has no user ${JSON.stringify(text)} in /etc/passwd`, {
        hint: 'create the user in an earlier step, or use a number',
      });
    }
    return { uid: number, gid: 0, home: '/' };
  }
  const [name = '', , uidText, gidText, , home = ''] = entry;
  const uid = parseId(uidText);
  const gid = parseId(gidText);
  if (uid === undefined || gid === undefined)
    throw new ToolError('USER_INVALID', `the image's /etc/passwd has a broken entry for ${JSON.stringify(name)}`);
  return { name, uid, gid, home: home.startsWith('/') ? home : '/' };
}

function findGroup(text: string, groups: readonly string[][]): number {
  const entry = groups.find(([name]) => name === text);
  const gid = entry === undefined ? parseId(text) : parseId(entry[2]);
  if (gid === undefined)
    throw new ToolError('GROUP_NOT_FOUND', `the image has no group ${JSON.stringify(text)} in /etc/group`);
  return gid;
}

function memberships(user: string, groups: readonly string[][]): number[] {
  const ids = new Set<number>();
  for (const [, , gidText, members = ''] of groups) {
    const gid = parseId(gidText);
    if (gid !== undefined && members.split(',').includes(user)) ids.add(gid);
  }
  return [...ids].sort((a, b) => a - b);
}

function records(file: Buffer | undefined): string[][] {
  if (file === undefined) return [];
  return file
    .toString('latin1')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}

function parseId(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9]{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= maxId ? id : undefined;
}

function invalid(text: string): ToolError {
  return new ToolError('USER_INVALID', `${JSON.stringify(text)} is not a user`, {
    hint: 'write it as user, uid, user:group or uid:gid',
  });
}
