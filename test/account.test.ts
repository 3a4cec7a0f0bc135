import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { accountKinds, openAccount } from './account.ts';

describe.each(accountKinds())('an account of %s', (kind) => {
  it('runs commands as itself, in its home, with a clean environment', async () => {
    await using account = openAccount(kind);

    const outcome = await account.run(['sh', '-c', 'id -u; pwd; touch made; env | grep -c npm_ || true']);

    expect(outcome).toEqual({ status: 0, stdout: `${account.uid}\n${account.home}\n0\n`, stderr: '' });
    expect(account.uid === 0).toBe(kind === 'root');
  });

  it('gives the exit status, and 128 + n for a signal', async () => {
    await using account = openAccount(kind);

    expect(await account.run(['sh', '-c', 'exit 7'])).toMatchObject({ status: 7 });
    expect(await account.run(['sh', '-c', 'kill -TERM $$'])).toMatchObject({ status: 143 });
    expect(await account.run(['sleep', '60'], { timeoutMs: 50 })).toMatchObject({ status: 137 });
  });

  it('takes its home with it', async () => {
    const account = openAccount(kind);
    await account.run(['sh', '-c', 'mkdir -m 000 shut; echo text > file']);

    await account[Symbol.asyncDispose]();

    expect(existsSync(account.home)).toBe(false);
  });

  it('says which program could not be started', async () => {
    await using account = openAccount(kind);

    const outcome = account.run(['/no/such/program']);

    if (account.uid === process.getuid?.()) await expect(outcome).rejects.toThrow('/no/such/program did not run');
    else await expect(outcome).resolves.toMatchObject({ status: 127 });
  });
});
