import { listed, quoted } from '../../buildfile/problems.ts';
import type { ScriptCommand } from '../lint-script.ts';
import type { ContextPath, LintStep } from '../lint-step.ts';
import { type Breach, type Rule, valueBreach } from '../rule.ts';
import { allSteps, type LintSubject } from '../subject.ts';

export const copyBeforeInstall: Rule = {
  name: 'copy-before-install',
  severity: 'warning',
  what: 'All of the context is copied before a script installs what a single file of it lists.',
  why: 'Any changed file, were it the README, makes all dependencies be installed again.',
  *check(subject) {
    for (const { steps } of subject.stages.values()) {
      const early = new Set<string>();
      for (const [index, step] of steps.entries()) {
        for (const command of step.script?.commands ?? []) early.add(command.name);
        const whole = step.verb === 'copy' ? step.contextPaths.find(({ path }) => path === '') : undefined;
        if (whole === undefined) continue;
        const found = findInstall(steps.slice(index + 1), early, subject);
        if (found !== undefined) yield copyBreach(step, whole, found);
        break;
      }
    }
  },
};

export const missingIgnoreFile: Rule = {
  name: 'missing-ignore-file',
  severity: 'warning',
  what: 'All of the context is copied, there is no ignore file, and the context has a `.git` or `node_modules`.',
  why: 'They make the image large and the cache useless, and a repository may hold what nobody meant to publish.',
  *check(subject) {
    const { hasIgnoreFile, names } = subject.facts;
    const unwanted = ['.git', 'node_modules'].filter((name) => names.has(name));
    if (hasIgnoreFile || unwanted.length === 0) return;
    for (const { file, verb, content, contextPaths } of allSteps(subject)) {
      const copied = unwanted.filter((name) => !(content.exclude ?? []).some((pattern) => leavesOut(pattern, name)));
      const whole = contextPaths.find(({ path }) => path === '');
      if (verb !== 'copy' || whole === undefined || copied.length === 0) continue;
      const message = `${listed(copied.map(quoted))} will be copied too; write a .dockerignore that names it`;
      yield valueBreach(file, whole.at, message);
    }
  },
};

export const ignoredCopy: Rule = {
  name: 'ignored-copy',
  severity: 'error',
  what: 'A step takes something from the context that the ignore file leaves out.',
  why: 'For the build it is not there, and the step fails.',
  *check(subject) {
    const { ignore } = subject.facts;
    for (const { file, contextPaths } of allSteps(subject)) {
      for (const { path, hasWildcard, at } of contextPaths) {
        if (hasWildcard || path === '' || ignore.mayContainIncluded(path) || !ignore.isIgnored(path)) continue;
        yield valueBreach(file, at, `the ignore file leaves ${quoted(path)} out of the context`);
      }
    }
  },
};

export const missingSource: Rule = {
  name: 'missing-source',
  severity: 'warning',
  what: 'A step takes a file or folder from the context that is not there.',
  why: 'The step fails, unless something makes the file before the build.',
  *check(subject) {
    const { missing } = subject.facts;
    for (const { file, contextPaths } of allSteps(subject)) {
      for (const { path, hasWildcard, at } of contextPaths) {
        if (hasWildcard || !missing.has(path)) continue;
        yield valueBreach(file, at, `there is no ${quoted(path)} in the context`);
      }
    }
  },
};

interface Install {
  readonly command: string;
  readonly manifests: readonly string[];
}

/** The first installation for which a file that is in the context would do. */
function findInstall(
  later: readonly LintStep[],
  early: ReadonlySet<string>,
  { facts }: LintSubject,
): Install | undefined {
  for (const { script } of later) {
    for (const command of script?.commands ?? []) {
      if (early.has(command.name)) continue;
      const manifests = manifestsOf(command).filter((name) => facts.names.has(name) && !facts.ignore.isIgnored(name));
      if (manifests.length > 0) return { command: command.name, manifests };
    }
  }
  return undefined;
}

function copyBreach({ file }: LintStep, { at }: ContextPath, { command, manifests }: Install): Breach {
  const message = `every changed file makes ${quoted(command)} install all again; copy ${listed(manifests.map(quoted))} first, and the rest after it`;
  return valueBreach(file, at, message);
}

type Manifests = readonly [verbs: RegExp, files: readonly string[]];

/** What each tool needs to install; its second word tells whether it does. */
const installs: ReadonlyMap<string, Manifests> = new Map<string, Manifests>([
  ['npm', [/^(?:ci|install|i)$/, ['package.json', 'package-lock.json']]],
  ['yarn', [/^(?:install)?$/, ['package.json', 'yarn.lock']]],
  ['pnpm', [/^(?:install|i)$/, ['package.json', 'pnpm-lock.yaml']]],
  ['bun', [/^(?:install|i)$/, ['package.json', 'bun.lock', 'bun.lockb']]],
  ['poetry', [/^install$/, ['pyproject.toml', 'poetry.lock']]],
  ['uv', [/^sync$/, ['pyproject.toml', 'uv.lock']]],
  ['pipenv', [/^(?:install|sync)$/, ['Pipfile', 'Pipfile.lock']]],
  ['bundle', [/^install$/, ['Gemfile', 'Gemfile.lock']]],
  ['composer', [/^install$/, ['composer.json', 'composer.lock']]],
  ['cargo', [/^fetch$/, ['Cargo.toml', 'Cargo.lock']]],
  ['mix', [/^deps\.get$/, ['mix.exs', 'mix.lock']]],
]);

function manifestsOf({ name, effective }: ScriptCommand): readonly string[] {
  const words = effective.slice(1).map(({ text }) => text);
  const verb = words.find((word) => !word.startsWith('-')) ?? '';
  if (/^pip3?$/.test(name) && verb === 'install') {
    return words.flatMap((word, index) => (/^(?:-r|--requirement)$/.test(words[index - 1] ?? '') ? [word] : []));
  }
  if (name === 'go') return words[0] === 'mod' && words[1] === 'download' ? ['go.mod', 'go.sum'] : [];
  const [verbs, files] = installs.get(name) ?? [];
  // Single packages (`npm install tool`) are no matter of the manifest.
  const names = words.filter((word) => !word.startsWith('-'));
  return verbs?.test(verb) && names.length <= 1 ? (files ?? []) : [];
}

function leavesOut(pattern: string, name: string): boolean {
  return pattern.replace(/^\/|\/\**$/g, '').replace(/^\*\*\//, '') === name;
}
