import { once } from 'node:events';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { secretsOf, sshAgentsOf } from './secret-flags.ts';

function temporary() {
  return mkdtempDisposable(path.join(tmpdir(), 'kiln-secrets-'));
}

describe('--secret', () => {
  const env = { TOKEN: 'from the environment', id: 'by its own name' };

  it.each([
    ['a file', 'id=x,src=secret.txt', 'x', 'in a file\n'],
    ['a file by the long name', 'type=file,id=x,source=secret.txt', 'x', 'in a file\n'],
    ['a name with a comma', 'id=x,"src=with, comma"', 'x', 'odd'],
    ['a variable', 'id=x,env=TOKEN', 'x', 'from the environment'],
    ['a variable as its source', 'id=x,type=env,src=TOKEN', 'x', 'from the environment'],
    ['the variable of its id', 'id=TOKEN', 'TOKEN', 'from the environment'],
    ['the file of its id', 'id=secret.txt', 'secret.txt', 'in a file\n'],
  ])('takes %s', async (_what, flag, id, expected) => {
    await using folder = await temporary();
    await writeFile(path.join(folder.path, 'secret.txt'), 'in a file\n');
    await writeFile(path.join(folder.path, 'with, comma'), 'odd');

    const found = await secretsOf([flag], { env, folder: folder.path }).find(id);

    expect(found?.toString()).toBe(expected);
  });

  it('has none that was not given, nor one of a variable that is not set', async () => {
    const source = secretsOf(['id=x,env=UNSET', 'id=y,env=TOKEN'], { env, folder: '/' });

    expect(await source.find('x')).toBeUndefined();
    expect(await source.find('other')).toBeUndefined();
    expect(['x', 'y', 'other'].map((id) => source.absence?.(id))).toEqual([
      'the variable UNSET is not set',
      undefined,
      undefined,
    ]);
  });

  it('reads a file when it is asked for, and says which secret cannot be read', async () => {
    await using folder = await temporary();
    const source = secretsOf(['id=x,src=later', 'id=y,src=large'], { env, folder: folder.path });
    await writeFile(path.join(folder.path, 'large'), Buffer.alloc(512_001));

    await expect(source.find('x')).rejects.toMatchObject({ code: 'SECRET_UNREADABLE' });
    await expect(source.find('y')).rejects.toMatchObject({ code: 'SECRET_TOO_LARGE' });
  });

  it.each([
    ['', 'it has ""'],
    ['src=x', 'no id'],
    ['id=,src=x', 'no id'],
    ['id=../x,src=x', 'no id'],
    ['id=x,scr=y', 'did you mean src'],
    ['id=x,src=y,env=TOKEN', 'a file and a variable'],
    ['id=x,type=vault', 'type vault is unknown'],
    ['id=x,src=', 'names nothing'],
  ])('refuses %j', (flag, problem) => {
    expect(() => secretsOf([flag], { env, folder: '/' })).toThrow(
      expect.objectContaining({ code: 'USAGE_SECRET', message: expect.stringContaining(problem) }),
    );
  });

  it('refuses an id twice, and does not repeat a long text, which may be the secret', () => {
    expect(() => secretsOf(['id=x,src=a', 'id=x,src=b'], { env, folder: '/' })).toThrow('twice');
    expect(() => secretsOf([`id=x,${'s3cr3t'.repeat(20)}`], { env, folder: '/' })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('s3cr3t'.repeat(3)) }),
    );
  });
});

describe('--ssh', () => {
  it('takes the agent of the environment, and others by their sockets', async () => {
    await using folder = await temporary();
    const server = createServer().listen(path.join(folder.path, 'agent'));
    await once(server, 'listening');
    try {
      const env = { SSH_AUTH_SOCK: path.join(folder.path, 'agent') };

      const agents = sshAgentsOf(['default', 'deploy=agent'], { env, folder: folder.path });

      expect(Object.fromEntries(agents)).toEqual({ default: env.SSH_AUTH_SOCK, deploy: env.SSH_AUTH_SOCK });
    } finally {
      server.close();
    }
  });

  it.each([
    ['default', 'SSH_AUTH_SOCK is not set'],
    ['a b=/x', 'is no id'],
    ['x=/no/such/socket', 'there is nothing at /no/such/socket'],
    ['x=/etc/passwd', 'is no socket'],
  ])('refuses %s', (flag, problem) => {
    expect(() => sshAgentsOf([flag], { env: {}, folder: '/' })).toThrow(
      expect.objectContaining({ code: 'USAGE_SSH', message: expect.stringContaining(problem) }),
    );
  });
});
