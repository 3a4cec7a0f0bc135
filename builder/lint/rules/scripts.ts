import { quoted } from '../../buildfile/problems.ts';
import { isShell, type LintScript, type ScriptCommand } from '../lint-script.ts';
import type { LintStep } from '../lint-step.ts';
import type { Breach, Rule } from '../rule.ts';
import { nameOf } from '../shell-commands.ts';
import { allSteps, fromBelow, type LintSubject } from '../subject.ts';

export const cdInRun: Rule = {
  name: 'cd-in-run',
  severity: 'warning',
  what: 'A script that begins with `cd`.',
  why: 'The step has `workdir` for that: it is seen at once, and holds for all of the script.',
  *check(subject) {
    for (const step of allSteps(subject)) {
      const [first, second] = step.script?.commands ?? [];
      const folder = first?.words[1];
      if (first?.name !== 'cd' || second === undefined || folder === undefined || /[$`~]/.test(folder.text)) continue;
      const message = `this script is all about ${quoted(folder.text)}; write workdir = "${folder.text.slice(0, 80)}" beside it`;
      yield commandBreach(step, first, message);
    }
  },
};

export const sudoInRun: Rule = {
  name: 'sudo-in-run',
  severity: 'warning',
  what: '`sudo` in a script.',
  why: 'Steps run as the user that the stage or the step names: sudo asks for a terminal, changes the environment, and stays in the image.',
  check: (subject) =>
    firstCommands(subject, isSudo, () => 'sudo has no use here; write user = "root" beside the script'),
};

export const pipeHidesFailure: Rule = {
  name: 'pipe-hides-failure',
  severity: 'warning',
  what: 'A pipe in a script whose shell looks only at the last command of a pipe.',
  why: 'When the command before the | fails, the step goes on with half a result.',
  *check({ stages }) {
    const shellBelow = fromBelow<readonly string[] | undefined>(
      stages,
      ({ steps }, below) => steps.findLast(({ verb }) => verb === 'shell')?.content.shell ?? below,
    );
    for (const stage of stages.values()) {
      let shell = shellBelow(stage);
      for (const step of stage.steps) {
        if (step.verb === 'shell') shell = step.content.shell;
        if (step.script?.text === undefined) continue;
        const found = hiddenFailure(step.script, step.script.shell ?? step.content.shell ?? shell);
        if (found === undefined) continue;
        const message = `when ${quoted(found.name)} fails nobody notices; write shell = ["/bin/bash", "-euo", "pipefail", "-c"], or do without the pipe`;
        yield commandBreach(step, found, message);
      }
    }
  },
};

export const downloadInRun: Rule = {
  name: 'download-in-run',
  severity: 'warning',
  what: '`curl`, `wget` or `git clone` in a script that checks nothing of what came.',
  why: 'Nothing says what has to come, and the step is not run again when something else would. `fetch` verifies, resumes, retries and locks.',
  *check(subject) {
    for (const step of allSteps(subject)) {
      const { script } = step;
      const at = script?.commands.findIndex(isDownload) ?? -1;
      const found = script?.commands[at];
      if (script === undefined || found === undefined) continue;
      const isRun = found.isPiped && script.commands.slice(at + 1, at + 2).some(({ name }) => isShell(name));
      if (!isRun && script.commands.some(isVerification)) continue;
      const what = isRun ? 'whatever comes is run unseen' : `nothing checks what ${quoted(found.name)} brings`;
      yield commandBreach(step, found, `${what}; use a fetch step with a checksum`);
    }
  },
};

export const packagesInRun: Rule = {
  name: 'packages-in-run',
  severity: 'warning',
  what: 'Packages of the distribution that a script installs.',
  why: 'Such a step keeps old versions for ever, or runs for nothing. A `packages` step runs again when a version moves and only then, is locked, and leaves no lists and caches in the image.',
  check: (subject) =>
    firstCommands(
      subject,
      isInstallation,
      ({ name }) => `${quoted(name)} installs packages in a script; use a packages step`,
    ),
};

export const upgradeInRun: Rule = {
  name: 'upgrade-in-run',
  severity: 'warning',
  what: 'A script that upgrades all packages.',
  why: 'It happens once, and then comes out of the cache. A newer base does it for every image, and `kiln rebuild` tells when there is one.',
  check: (subject) =>
    firstCommands(subject, isUpgrade, () => 'this upgrades once, and never again; take a newer base instead'),
};

/** The first command of each script that is of a kind; later ones would say the same. */
function* firstCommands(
  subject: LintSubject,
  isOfKind: (command: ScriptCommand) => boolean,
  message: (command: ScriptCommand) => string,
): Generator<Breach> {
  for (const step of allSteps(subject)) {
    const found = step.script?.commands.find(isOfKind);
    if (found !== undefined) yield commandBreach(step, found, message(found));
  }
}

function commandBreach({ file, script }: LintStep, command: ScriptCommand, message: string): Breach {
  if (script === undefined) throw new TypeError('a step without a script has no commands');
  const span = { start: command.words[0]?.start ?? 0, end: command.words.at(-1)?.end ?? 0 };
  return { file, at: script.at, span: script.spanOf(span), message };
}

/** Commands of which nobody expects that they fail. */
const neverFail = new Set(['echo', 'printf', 'yes', 'true', ':', 'pwd', 'date']);

function hiddenFailure(script: LintScript, shell: readonly string[] | undefined): ScriptCommand | undefined {
  if (shell !== undefined && !isShell(shell[0])) return undefined;
  if (/\bpipefail\b/.test(`${shell?.join(' ') ?? ''} ${script.text ?? ''}`)) return undefined;
  return script.commands.find(({ isPiped, name }) => isPiped && !neverFail.has(name));
}

function isSudo({ words }: ScriptCommand): boolean {
  return nameOf(words[0]) === 'sudo';
}

function isDownload({ name, effective }: ScriptCommand): boolean {
  if (name === 'git') return effective[1]?.text === 'clone' && !effective.some(({ text }) => text === '--help');
  if (name !== 'curl' && name !== 'wget') return false;
  return effective.some(
    ({ text }) => /^(?:https?|ftp):\/\//.test(text) && !/^http:\/\/(?:localhost|127\.|\[::1\])/.test(text),
  );
}

function isVerification({ name, effective }: ScriptCommand): boolean {
  if (/^(?:(?:sha(?:1|224|256|384|512)?|b2)sum|shasum|gpgv?|gpg2|minisign|cosign|signify)$/.test(name)) return true;
  if (name === 'git') return effective.some(({ text }) => /^(?:verify-|checkout$|reset$)/.test(text));
  return name === 'openssl' && effective[1]?.text === 'dgst';
}

const installers: ReadonlyMap<string, string> = new Map([
  ...['apt', 'apt-get', 'aptitude', 'dnf', 'microdnf', 'yum', 'tdnf'].map((name) => [name, 'install'] as const),
  ['apk', 'add'],
]);

function isInstallation({ name, effective }: ScriptCommand): boolean {
  const verb = installers.get(name);
  if (verb === undefined || effective.slice(1).find(isNoOption)?.text !== verb) return false;
  // Files, and sets that the script itself takes away again, are no matter of a packages step.
  return !effective.some(({ text }) => /^\.{0,2}\/|\.(?:deb|rpm|apk)$|^(?:-t|--virtual)(?:$|=)/.test(text));
}

function isUpgrade({ name, effective }: ScriptCommand): boolean {
  if (!installers.has(name)) return false;
  const words = effective.slice(1).filter(isNoOption);
  const verb = words[0]?.text ?? '';
  if (name === 'apk') return verb === 'upgrade';
  if (name.startsWith('apt')) return /^(?:(?:safe-|dist-|full-)?upgrade)$/.test(verb);
  return /^(?:upgrade|update|distro-sync)$/.test(verb) && words.length === 1;
}

function isNoOption({ text }: { readonly text: string }): boolean {
  return !text.startsWith('-');
}
