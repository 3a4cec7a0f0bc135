import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BuildfileError } from '../buildfile/problems.ts';
import { openBuildContext } from '../engine/open-context.ts';
import { lintBuildfile } from './lint.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kiln-lint-'));
});
afterAll(() => rm(folder, { recursive: true }));

const platform = { os: 'linux', architecture: 'amd64' };

async function lint(text: string, targets: readonly string[] | 'all' = []) {
  await writeFile(path.join(folder, 'Buildfile'), text);
  const context = await openBuildContext(folder);
  const plan = {
    targets,
    args: new Map(),
    platform,
    buildPlatform: platform,
    baseFolder: folder,
    includes: context.includes,
  };
  return lintBuildfile({ context, plan, lock: undefined });
}

async function places(text: string): Promise<string[]> {
  const { findings } = await lint(text);
  return findings.map(
    ({ rule, position, end }) => `${position.line}:${position.column}-${end.line}:${end.column} ${rule}`,
  );
}

const start = 'from = "debian:12"\nimage.user = "nobody"\n';

describe('a comment that ignores a rule', () => {
  const sudo = 'run = "sudo x"';

  it.each<[string, string, boolean]>([
    ['at the end of the line', `[[steps]]\n${sudo} # kiln: ignore sudo-in-run\n`, true],
    ['on the line before', `[[steps]]\n# kiln: ignore sudo-in-run\n${sudo}\n`, true],
    [
      'on the line before, with reasons',
      `[[steps]]\n#kiln: ignore cd-in-run, sudo-in-run: it is late\n# really\n${sudo}\n`,
      true,
    ],
    ['before the step', `# kiln: ignore sudo-in-run\n[[steps]]\n${sudo}\n`, true],
    ['behind the header of the step', `[[steps]] # kiln: ignore sudo-in-run\n${sudo}\n`, true],
    ['before an element', `steps = [\n  # kiln: ignore sudo-in-run\n  { ${sudo} },\n]`, true],
    ['behind an element', `steps = [\n  { ${sudo} }, # kiln: ignore sudo-in-run\n]`, true],
    ['before all steps', `# kiln: ignore sudo-in-run\nsteps = [\n  { ${sudo} },\n]`, true],
    ['before a script of several lines', `[[steps]]\n# kiln: ignore sudo-in-run\nrun = """\nx\nsudo x\n"""`, true],
    ['behind a script of several lines', `[[steps]]\nrun = """\nx\nsudo x\n""" # kiln: ignore sudo-in-run`, true],
    ['with line ends of Windows', `[[steps]]\r\n# kiln: ignore sudo-in-run\r\n${sudo}\r\n`, true],
    ['of another rule', `[[steps]]\n${sudo} # kiln: ignore cd-in-run\n`, false],
    ['two lines before', `# kiln: ignore sudo-in-run\n\n[[steps]]\n${sudo}\n`, false],
    ['before another step', `# kiln: ignore sudo-in-run\n[[steps]]\nrun = "x"\n[[steps]]\n${sudo}\n`, false],
    ['that stands in a text', `[[steps]]\n${sudo}\nname = "# kiln: ignore sudo-in-run"\n`, false],
  ])('counts %s: %#', async (_title, text, isIgnored) => {
    const rules = (await lint(`${start}${text}`)).findings.map(({ rule }) => rule);

    expect(rules).toEqual(isIgnored ? [] : ['sudo-in-run']);
  });
});

describe('lintBuildfile', () => {
  it.each<[string, string, string]>([
    ['a string', 'run = "true; sudo x"', '4:14-4:20'],
    ['a string with escapes', 'run = "\\u00e9\\t😀; sudo x"', '4:19-4:25'],
    ['a literal string', "run = 'a\\b; sudo x'", '4:13-4:19'],
    ['a script', 'run = """\ntrue\n  sudo x\n"""', '6:3-6:9'],
    ['a script on the line of its quotes', 'run = """true\nsudo x"""', '5:1-5:7'],
    ['a script with lines that go on', 'run = """\ntrue \\\n   ; sudo x\n"""', '6:6-6:12'],
    ['a script with line ends of Windows', 'run = """\r\ntrue\r\nsudo x\r\n"""', '6:1-6:7'],
    ['an array', 'run = ["sudo", "x"]', '4:7-4:20'],
  ])('finds the place in %s', async (_title, step, place) => {
    expect(await places(`${start}[[steps]]\n${step}`)).toEqual([`${place} sudo-in-run`]);
  });

  it('finds nothing in a fine Buildfile', async () => {
    expect(await places(`${start}[[steps]]\npackages = ["a"]\n`)).toEqual([]);
  });

  it('takes required arguments as given', async () => {
    const text = `${start}[args]\nA = { required = true }\n[[steps]]\nrun = "sudo x"\nenv = { A = "\${A}" }\n`;

    expect(await places(text)).toEqual(['6:8-6:14 sudo-in-run']);
  });

  it('tells mistakes, but not that an argument was not given', async () => {
    const text = 'from = "debian:12"\nimag = 1\n[args]\nA = { required = true }\n';

    const error: unknown = await lint(text).catch((caught) => caught);

    expect(error).toBeInstanceOf(BuildfileError);
    expect((error as BuildfileError).problems.map(({ code }) => code)).toEqual(['BUILDFILE_UNKNOWN_KEY']);
  });

  it('takes for results what is asked for', async () => {
    const text = '[stages.a]\nfrom = "debian:12"\n[stages.b]\nfrom = "debian:12"\nimage.user = "x"\n';
    const of = async (targets: readonly string[] | 'all') =>
      (await lint(text, targets)).findings.map(({ rule, position }) => `${position.line} ${rule}`);

    expect(await of([])).toEqual(['1 unused-stage']);
    expect(await of(['a'])).toEqual(['1 runs-as-root', '3 unused-stage']);
    expect(await of('all')).toEqual(['1 runs-as-root']);
  });

  it('reads a file as long as a Buildfile may be', async () => {
    const step = '[[steps]]\nrun = "cd /x && sudo make | tee log"\nlayer = "a"\n';
    const text = start + step.repeat(Math.floor((1024 * 1024 - 100) / step.length));

    const { findings } = await lint(text);

    expect(findings.length).toBe(3 * Math.floor((1024 * 1024 - 100) / step.length));
  });

  it('follows a chain of as many stages as a Buildfile may have', async () => {
    const stage = (index: number) => `[stages.s${index}]\nfrom = "s${index - 1}"\n`;
    const chain = Array.from({ length: 25_000 }, (_, index) => stage(index + 1)).join('');

    const { findings } = await lint(`[stages.s0]\nfrom = "debian:12"\n${chain}`, 'all');

    expect(findings.map(({ rule }) => rule)).toEqual(Array.from({ length: 25_001 }, () => 'runs-as-root'));
  });

  it('reads a script as long as a Buildfile may be', async () => {
    const line = 'cd /x && curl https://example.org/x | sh\n';
    const { findings } = await lint(`${start}[[steps]]\nrun = """\n${line.repeat(20_000)}"""\n`);

    expect(findings.map(({ rule }) => rule)).toEqual(['cd-in-run', 'download-in-run', 'pipe-hides-failure']);
  });
});
