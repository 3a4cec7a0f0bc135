import { findMode } from '../../buildfile/formats.ts';
import { quoted } from '../../buildfile/problems.ts';
import type { TomlPath } from '../../buildfile/toml.ts';
import type { LintFile } from '../lint-file.ts';
import type { LintStep } from '../lint-step.ts';
import { type Edit, type Rule, valueBreach } from '../rule.ts';
import { allSteps, fromBelow, type LintStage, type LintSubject } from '../subject.ts';

export const mode777: Rule = {
  name: 'mode-777',
  severity: 'warning',
  what: 'Files that everybody may write: `mode = "0777"`, `chmod 666`, `chmod a+w`.',
  why: 'Any program in the container can change what others run or read.',
  *check(subject) {
    for (const { file, at, content, script } of allSteps(subject)) {
      const mode = typeof content.mode === 'string' ? findMode(content.mode) : content.mode;
      if (mode !== undefined && isOpen(mode)) yield valueBreach(file, [...at, 'mode'], openMessage);
      const word = script?.commands
        .filter(({ name }) => name === 'chmod')
        .flatMap(({ effective }) => effective.slice(1).find(({ text }) => !/^-[A-Za-z-]+$/.test(text)) ?? [])
        .find(({ text }) => opensForAll(text));
      if (word === undefined || script === undefined) continue;
      yield { file, at: script.at, span: script.spanOf(word), message: openMessage };
    }
  },
};

export const chmodAfterCopy: Rule = {
  name: 'chmod-after-copy',
  severity: 'warning',
  what: 'A script that does nothing but `chmod` or `chown` what the step before it copied or fetched.',
  why: 'The files are in the image twice, once with each mode and owner.',
  *check({ stages }) {
    for (const { steps } of stages.values()) {
      for (const [index, step] of steps.entries()) {
        const before = steps[index - 1];
        const [command, another] = step.script?.commands ?? [];
        if (step.verb !== 'run' || step.script === undefined || command === undefined || another !== undefined)
          continue;
        if (!/^ch(?:mod|own)$/.test(command.name) || !placesFiles(before) || isOneLayer(before, step)) continue;
        const target = command.effective.at(-1)?.text ?? '';
        if (!target.startsWith(placeOf(before))) continue;
        const option = command.name === 'chmod' ? 'mode' : 'owner';
        const message = `this keeps the files a second time; write ${option} = "…" in the ${before.verb} step`;
        const span = step.script.spanOf({ start: command.words[0]?.start ?? 0, end: command.words.at(-1)?.end ?? 0 });
        yield { file: step.file, at: step.script.at, span, message };
      }
    }
  },
};

export const sharedPackageCache: Rule = {
  name: 'shared-package-cache',
  severity: 'warning',
  what: "A cache mount at apt's directories that several steps may use at once.",
  why: 'apt expects to be alone there: two steps at the same time fail, or break the cache.',
  isFixable: true,
  *check(subject) {
    for (const { file, at, content } of allSteps(subject)) {
      for (const [index, { cache, sharing }] of (content.mounts ?? []).entries()) {
        if (!/^\/var\/(?:cache|lib)\/apt(?:\/|$)/.test(cache ?? '') || (sharing ?? 'shared') !== 'shared') continue;
        const mountAt = [...at, 'mounts', index];
        const message = `apt has to be alone in ${quoted(cache ?? '')}; write sharing = "locked"`;
        const span = file.valueSpan([...mountAt, 'cache']);
        yield { file, at: mountAt, span, message, fix: [lockEdit(file, mountAt)] };
      }
    }
  },
};

export const commandInOneWord: Rule = {
  name: 'command-in-one-word',
  severity: 'warning',
  what: 'A command as an array whose first element holds arguments as well.',
  why: 'No shell splits it: a program of that whole name is looked for, and not found.',
  *check(subject) {
    for (const { file, at, command } of arrayCommands(subject)) {
      const [program = ''] = command;
      if (!/^\S+\s+\S/.test(program)) continue;
      const message = `${quoted(program)} is one word here; write each argument as an element of its own`;
      yield { file, at, span: file.valueSpan([...at, 0]), message };
    }
  },
};

export const hostNetwork: Rule = {
  name: 'host-network',
  severity: 'note',
  what: 'A step in the network of the machine.',
  why: 'It reaches all that listens on the machine itself, and what it builds may depend on that.',
  *check(subject) {
    for (const { file, at, content } of allSteps(subject)) {
      if (content.network !== 'host') continue;
      const message = 'this step reaches all that listens on the machine; the default network leads outside too';
      yield valueBreach(file, [...at, 'network'], message);
    }
  },
};

const openMessage = 'everybody may write this; 0755 for directories and programs, and 0644 for files, will do';

/** Writable for others, and not a directory like /tmp. */
function isOpen(mode: number): boolean {
  return (mode & 0o002) !== 0 && (mode & 0o1000) === 0;
}

function opensForAll(mode: string): boolean {
  if (/^[0-7]{3,4}$/.test(mode)) return isOpen(Number.parseInt(mode, 8));
  return mode.length < 100 && /(?:^|,)[ug]*[oa][ugoa]*[+=][rxXst]*w/.test(mode);
}

function placesFiles(step: LintStep | undefined): step is LintStep {
  return step?.verb === 'copy' || step?.verb === 'fetch';
}

function isOneLayer(before: LintStep, step: LintStep): boolean {
  return before.content.layer !== undefined && before.content.layer === step.content.layer;
}

/** Where a step puts its files; empty where only the working directory says it. */
function placeOf({ content }: LintStep): string {
  return (content.to ?? '').replace(/^\.?\/?$|\/$/, '');
}

function lockEdit(file: LintFile, mountAt: TomlPath): Edit {
  const { document } = file.part;
  const sharingAt = [...mountAt, 'sharing'];
  if (document.has(sharingAt)) return { ...file.valueSpan(sharingAt), text: '"locked"' };
  const { end } = file.valueSpan([...mountAt, 'cache']);
  const isInline = file.source(file.valueSpan(mountAt)).startsWith('{');
  return { start: end, end, text: isInline ? ', sharing = "locked"' : '\nsharing = "locked"' };
}

function* arrayCommands({ stages }: LintSubject): Generator<{
  readonly file: LintFile;
  readonly at: TomlPath;
  readonly command: readonly string[];
}> {
  const entrypointBelow = fromBelow(stages, hasEntrypoint);
  for (const stage of stages.values()) {
    const { file, at, content, steps } = stage;
    const { entrypoint, cmd, healthcheck } = content.image ?? {};
    const image = [...at, 'image'];
    const isArgument = hasEntrypoint(stage, entrypointBelow(stage));
    if (entrypoint !== undefined) yield { file, at: [...image, 'entrypoint'], command: entrypoint };
    // Beside an entrypoint it holds arguments, which may have blanks.
    if (cmd !== undefined && !isArgument) yield { file, at: [...image, 'cmd'], command: cmd };
    const check = healthcheck?.cmd;
    if (check !== undefined && typeof check !== 'string')
      yield { file, at: [...image, 'healthcheck', 'cmd'], command: check };
    for (const step of steps) {
      const command = step.content.run ?? step.content.test;
      if (command !== undefined && typeof command !== 'string' && step.verb !== undefined)
        yield { file, at: [...step.at, step.verb], command };
    }
  }
}

function hasEntrypoint({ content }: LintStage, below: boolean | undefined): boolean {
  return content.image?.entrypoint === undefined ? below === true : content.image.entrypoint.length > 0;
}
