import { chmodSync, cpSync, globSync, lchownSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { type Kiln, openKiln, project } from './kiln.ts';

const messy = `from='debian'
[[steps]]
packages=["z","a"]
[[steps]]
run = "sudo make" # kiln: ignore sudo-in-run
`;
const neat = `from = "debian"

[[steps]]
packages = ["z", "a"]

[[steps]]
run = "sudo make" # kiln: ignore sudo-in-run
`;

const root = path.dirname(path.dirname(import.meta.dirname));

/** As `project`, and the account may change all of it. */
function ownProject(kiln: Kiln, name: string, files: Readonly<Record<string, string>>): string {
  const folder = project(kiln.account, name, files);
  if (process.getuid?.() === 0)
    for (const file of globSync('**', { cwd: folder })) lchownSync(path.join(folder, file), kiln.account.uid, -1);
  return folder;
}

describe.each(accountKinds())('kiln fmt as %s', (kind) => {
  it('formats files and folders, names them, and then has nothing to do', async () => {
    await using kiln = await openKiln(kind);
    const folder = ownProject(kiln, 'app', { Buildfile: messy, 'sub/Buildfile': messy, 'fine.toml': neat });
    const files = ['Buildfile', 'sub', 'fine.toml'];

    expect(await kiln.ok(['fmt', ...files], { cwd: folder })).toBe('Buildfile\nsub/Buildfile\n');

    expect(readFileSync(path.join(folder, 'sub/Buildfile'), 'utf8')).toBe(neat);
    expect(await kiln.ok(['fmt', '--check', ...files], { cwd: folder })).toBe('');
  });

  it('--check names what is not formatted, ends with 11 and changes nothing', async () => {
    await using kiln = await openKiln(kind);
    const folder = ownProject(kiln, 'app', { Buildfile: messy });

    expect(await kiln.run(['fmt', '--check'], { cwd: folder })).toMatchObject({ status: 11, stdout: 'Buildfile\n' });

    const asJson = await kiln.run(['fmt', '--check', '--json'], { cwd: folder });
    expect(JSON.parse(asJson.stdout)).toEqual({ files: [{ file: 'Buildfile', changed: true }], written: false });
    expect(readFileSync(path.join(folder, 'Buildfile'), 'utf8')).toBe(messy);
  });

  it('keeps the mode of a file, and follows a symlink to it', async () => {
    await using kiln = await openKiln(kind);
    const folder = ownProject(kiln, 'app', { real: messy });
    chmodSync(path.join(folder, 'real'), 0o640);
    symlinkSync('real', path.join(folder, 'Buildfile'));

    await kiln.ok(['fmt'], { cwd: folder });

    expect(readFileSync(path.join(folder, 'real'), 'utf8')).toBe(neat);
    expect(statSync(path.join(folder, 'real')).mode & 0o777).toBe(0o640);
  });

  it('writes no file when one of them is not TOML, and tells the problems of all', async () => {
    await using kiln = await openKiln(kind);
    const folder = ownProject(kiln, 'app', { Buildfile: messy, 'a.toml': 'x = ', 'b.toml': '\ny' });

    const outcome = await kiln.run(['fmt', 'Buildfile', 'a.toml', 'b.toml'], { cwd: folder });

    expect(outcome).toMatchObject({ status: 2, stdout: '' });
    expect(outcome.stderr).toMatch(/a\.toml:1:\d+: [\s\S]*b\.toml:2:\d+: /);
    expect(readFileSync(path.join(folder, 'Buildfile'), 'utf8')).toBe(messy);
  });

  it('leaves a file alone that is not UTF-8, and says so of one that is not there', async () => {
    await using kiln = await openKiln(kind);
    const folder = ownProject(kiln, 'app', { x: '' });
    const bytes = Buffer.from('a="\xe9"\n', 'latin1');
    writeFileSync(path.join(folder, 'Buildfile'), bytes);

    expect(await kiln.run(['fmt'], { cwd: folder })).toMatchObject({ status: 2 });
    expect(await kiln.run(['fmt', 'none'], { cwd: folder })).toMatchObject({ status: 2 });
    expect(readFileSync(path.join(folder, 'Buildfile'))).toEqual(bytes);
  });

  it('- is standard input to standard output', async () => {
    await using kiln = await openKiln(kind);

    const folder = ownProject(kiln, 'app', { messy });
    const shell = (...words: string[]) =>
      kiln.account.run(['sh', '-c', '"$@" < messy', 'sh', path.join(root, 'bin/kiln'), ...words], { cwd: folder });

    expect(await shell('fmt', '-')).toMatchObject({ status: 0, stdout: neat });
    expect(await shell('fmt', '--check', '-')).toMatchObject({ status: 11 });
  });
});

describe.each(accountKinds())('kiln check as %s', (kind) => {
  it('tells findings with their places and ends with 11; notes alone end it with 0', async () => {
    await using kiln = await openKiln(kind);
    const folder = ownProject(kiln, 'app', { Buildfile: messy });

    const outcome = await kiln.run(['check'], { cwd: folder });

    expect(outcome.status).toBe(11);
    expect(outcome.stdout).toContain('Buildfile:1:6: warning: `debian` is whatever is the latest');
    expect(outcome.stdout).toContain("  1 | from='debian'\n    |      ^^^^^^^^\n");
    expect(outcome.stdout).toContain('[unsorted-packages]');
    expect(outcome.stdout).not.toContain('sudo-in-run');
    expect(outcome.stderr).toBe('kiln: 1 warning, 2 notes; --fix puts 1 right; docs/lint-rules.md says why\n');

    writeFileSync(path.join(folder, 'Buildfile'), 'from = "debian:12"\n');
    expect(await kiln.run(['check', folder])).toMatchObject({
      status: 0,
      stderr: 'kiln: 1 note; docs/lint-rules.md says why\n',
    });
  });

  it('--fix puts right what it can, in included files too, and says what that was', async () => {
    await using kiln = await openKiln(kind);
    const folder = ownProject(kiln, 'app', {
      Buildfile: 'include = ["parts/a.toml"]\n[stages.app]\nfrom = "base"\nimage.user = "nobody"\n',
      'parts/a.toml': '[stages.base]\nfrom = "debian:12"\nsteps = [{ packages = ["b", "a", "b"] }]\n',
    });

    const outcome = await kiln.run(['check', '--fix', folder]);

    expect(outcome).toMatchObject({ status: 0, stderr: 'kiln: nothing to complain about\n' });
    expect(outcome.stdout.match(/^.*fixed:.*\[[a-z-]+\]$/gm)).toHaveLength(2);
    expect(readFileSync(path.join(folder, 'parts/a.toml'), 'utf8')).toContain('packages = ["a", "b"]');
  });

  it('mistakes end it with 2, as they end a build', async () => {
    await using kiln = await openKiln(kind);
    const folder = ownProject(kiln, 'app', { Buildfile: 'from = "scratch"\nstpes = []\n' });

    expect(await kiln.run(['check', folder])).toMatchObject({ status: 2, stdout: '' });

    const sarif = await kiln.run(['check', '--format', 'sarif', folder]);
    expect(sarif.status).toBe(2);
    expect(JSON.parse(sarif.stdout).runs[0].results).toMatchObject([
      { ruleId: 'BUILDFILE_UNKNOWN_KEY', level: 'error' },
    ]);
  });

  it('a lock file pins a base', async () => {
    await using kiln = await openKiln(kind);
    const lock = `version = 1\n\n[images]\n"docker.io/library/debian:latest" = "sha256:${'0'.repeat(64)}"\n`;
    const folder = ownProject(kiln, 'app', { Buildfile: 'from = "debian"\n', 'Buildfile.lock': lock });

    const outcome = await kiln.run(['check', '--json', folder]);

    expect(outcome.status).toBe(0);
    expect(JSON.parse(outcome.stdout)).toMatchObject({
      findings: [{ rule: 'runs-as-root', severity: 'note' }],
      fixed: [],
    });
  });

  it('SARIF names each rule and the place of each finding', async () => {
    await using kiln = await openKiln(kind);
    const folder = ownProject(kiln, 'a b', { Buildfile: messy });

    const outcome = await kiln.run(['check', '--format=sarif', folder]);

    expect(outcome.status).toBe(11);
    const { version, runs } = JSON.parse(outcome.stdout);
    const { rules } = runs[0].tool.driver;
    expect(version).toBe('2.1.0');
    for (const { ruleId, ruleIndex, locations } of runs[0].results) {
      expect(rules[ruleIndex].id).toBe(ruleId);
      expect(locations[0].physicalLocation.artifactLocation.uri).toMatch(/a%20b\/Buildfile$/);
      expect(locations[0].physicalLocation.region.startLine).toBeGreaterThan(0);
    }
  });

  it('the example and projects of the fixtures are fine, and formatted', async () => {
    await using kiln = await openKiln(kind);
    const folder = ownProject(kiln, 'app', {});
    for (const name of ['c-program', 'node-web', 'python-service']) {
      cpSync(path.join(root, 'fixtures/projects', name), path.join(folder, name), { recursive: true });

      expect(await kiln.run(['check', path.join(folder, name)])).toMatchObject({ status: 0 });
      expect(await kiln.run(['fmt', '--check', path.join(folder, name)])).toMatchObject({ status: 0 });
    }
  });
});
