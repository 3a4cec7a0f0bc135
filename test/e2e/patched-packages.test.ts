import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { missing } from '../requirements.ts';
import { openKiln, project } from './kiln.ts';

const needs = ['apt', 'mmdebstrap', 'unprivileged-user', 'overlay'] as const;
const timeoutMs = 480_000;

interface Moves {
  readonly moves: readonly {
    readonly kind: string;
    readonly packages?: readonly { readonly name: string; readonly from?: string; readonly to?: string }[];
  }[];
}

/** Takes some minutes for each account: installs real packages, once without and once with Debian's security suite. */
describe.each(accountKinds())('as %s', (kind) => {
  it.skipIf(missing(...needs))('brings security updates to a base and to the app on it, and says which', async () => {
    await using kiln = await openKiln(kind);
    const folder = project(kiln.account, 'app', { Buildfile: buildfile(false), 'page.html': 'hello\n' });
    const lock = () => readFileSync(path.join(folder, 'Buildfile.lock'), 'utf8');

    await kiln.ok(['build', '-t', 'app', folder], { timeoutMs });
    const before = lock();
    const again = await kiln.ok(['build', '-t', 'app', '--json', '--frozen', folder], { timeoutMs });
    expect(JSON.parse(again)).toMatchObject({ steps: 5, cachedSteps: 4 });
    expect(versionIn(before, 'bootstraps', 'libc6')).toMatch(/^2\.36-/);
    expect(versionIn(before, 'packages', 'unzip')).toMatch(/^6\.0-/);

    writeFileSync(path.join(folder, 'Buildfile'), buildfile(true));
    const refused = await kiln.run(['build', '--frozen', folder], { timeoutMs });
    const outdated = await kiln.run(['outdated', '--json', folder], { timeoutMs });
    expect(refused).toMatchObject({ status: 9, stderr: expect.stringContaining('security=true') });
    expect(outdated).toMatchObject({ status: 10 });
    expect(lock()).toBe(before);

    const updated = await kiln.run(['update', folder], { timeoutMs });
    const after = lock();
    expect(updated).toMatchObject({ status: 0 });
    // The archive decides which packages these are; what the lock file had and has now says what must be told.
    const { moves } = JSON.parse(outdated.stdout) as Moves;
    const rows = updated.stdout.split('\n').map((line) => line.trim().split(/ {2,}/).join(' '));
    for (const table of ['bootstraps', 'packages'] as const) {
      const told = moves.find((move) => move.kind === table)?.packages ?? [];
      const moved = namesIn(after, table).filter(
        (name) => versionIn(before, table, name) !== versionIn(after, table, name),
      );
      expect(told.map(({ name }) => name)).toEqual(expect.arrayContaining(moved));
      for (const name of moved) {
        const [from, to] = [versionIn(before, table, name), versionIn(after, table, name)];
        if (from === undefined) continue;
        expect(told).toContainEqual({ name, from, to });
        expect(rows).toContain(`${name} ${from} → ${to ?? 'not needed'}`);
      }
    }
    expect(moves.flatMap(({ packages = [] }) => packages)).not.toEqual([]);
    expect(after).not.toContain('security=false');

    const built = JSON.parse(await kiln.ok(['build', '-t', 'app', '--json', '--frozen', folder], { timeoutMs }));
    const explained = await kiln.ok(['explain', '--json', '--context', folder, '-f', path.join(folder, 'Buildfile')]);
    // The base, what is installed on it and what runs there; the page does not lie on it.
    expect(built).toMatchObject({ steps: 5, cachedSteps: 1 });
    expect(explained).toContain(versionIn(after, 'packages', 'unzip'));
    expect(await kiln.ok(['run', '--rm', 'app'])).toBe(`${versionIn(after, 'packages', 'unzip')}\n`);
    expect(await kiln.run(['outdated', folder], { timeoutMs })).toMatchObject({ status: 0, stdout: '' });
  });
});

function buildfile(security: boolean): string {
  return `
[stages.page]
from = "scratch"
steps = [{ copy = "page.html" }]

[stages.app]
from = { bootstrap = "debian", suite = "bookworm", security = ${security} }
steps = [
  { packages = ["unzip"] },
  { copy = "/page.html", from = "page", to = "/srv/" },
  { run = "dpkg-query -W -f '\${Version}\\\\n' unzip > /version" },
]
[stages.app.image]
cmd = ["cat", "/version"]
`;
}

function linesIn(lock: string, table: string): readonly string[] {
  const lines = (lock.split(`\n[${table}]\n`)[1] ?? '').split('\n');
  const end = lines.findIndex((line) => line.startsWith('['));
  return lines.slice(0, end === -1 ? undefined : end).flatMap((line) => /^ {2}"(.*)",$/.exec(line)?.[1] ?? []);
}

function namesIn(lock: string, table: string): readonly string[] {
  return linesIn(lock, table).map((line) => line.split(' ', 1)[0] ?? '');
}

function versionIn(lock: string, table: string, name: string): string | undefined {
  return linesIn(lock, table)
    .find((line) => line.startsWith(`${name} `))
    ?.split(' ')[1];
}
