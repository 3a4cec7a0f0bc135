import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, openKiln, project } from './kiln.ts';

const buildfile = `from = "scratch"
colour = "blue"

[[steps]]
cpoy = "a.txt"
to = "/"

[[steps]]
run = "true"
copy = "a.txt"

[[steps]]
workdir = "\${MISSING}/app"

[image]
cmd = ["cat"]
ports = ["eighty"]
`;

describe.each(accountKinds())('as %s', (kind) => {
  it('five mistakes in a Buildfile are five errors with their places, and exit code 2', async () => {
    await using kiln = await openKiln(kind);
    const context = project(kiln.account, 'app', { Buildfile: buildfile });

    const outcome = await kiln.run(['build', '-t', 'app:1', context]);

    expect(outcome).toMatchObject({ status: 2, stdout: '' });
    const places = [...outcome.stderr.matchAll(/Buildfile:(\d+):\d+: (.+)/g)];
    expect(places.map(([, line]) => Number(line))).toEqual([2, 5, 10, 13, 17]);
    expect(places.every(([, , sentence = '']) => sentence.length > 10)).toBe(true);
    expect(outcome.stderr).toContain('did you mean `copy`?');
  });

  it.skipIf(missing('busybox', 'unprivileged-user', 'overlay'))(
    'a failing step shows its place, its command, its status and its last lines',
    async () => {
      await using kiln = await openKiln(kind);
      const text = 'from = "scratch"\nsteps = [\n  { copy = "busybox", to = "/bin/sh", mode = "0755" },\n';
      const failing = '  { run = "echo the last words; exit 9" },\n]\n';
      const context = busyboxProject(kiln.account, 'app', { Buildfile: text + failing });

      const outcome = await kiln.run(['build', context]);

      expect(outcome).toMatchObject({ status: 3, stdout: '' });
      expect(outcome.stderr).toMatch(/Buildfile:4/);
      expect(outcome.stderr).toContain('the last words');
      expect(outcome.stderr).toMatch(/\b9\b/);
    },
  );
});
