import type { TomlPath } from '../buildfile/toml.ts';
import type { LintFile, Span } from './lint-file.ts';
import { effectiveWords, nameOf, type ShellCommand, type ShellWord, shellCommands } from './shell-commands.ts';

/** What a step runs, and where each part of it is written. */
export interface LintScript {
  readonly at: TomlPath;
  /** Undefined when a program is started without a shell. */
  readonly text: string | undefined;
  readonly commands: readonly ScriptCommand[];
  /** The shell that an array names itself: `["sh", "-c", …]`. */
  readonly shell: readonly string[] | undefined;
  spanOf(part: Span): Span;
}

export interface ScriptCommand extends ShellCommand {
  /** Without what only starts another command, such as `sudo`. */
  readonly effective: readonly ShellWord[];
  /** Of the first of these. */
  readonly name: string;
}

export function lintScript(command: string | readonly string[], at: TomlPath, file: LintFile): LintScript {
  if (typeof command === 'string') {
    return { at, text: command, commands: commandsOf(shellCommands(command)), shell: undefined, spanOf: within(at) };
  }
  const script = command[2];
  if (script !== undefined && isShell(command[0]) && /^-[a-z]*c$/.test(command[1] ?? '')) {
    // Its variables are replaced already, so that offsets in it may mean nothing.
    const span = file.valueSpan([...at, 2]);
    return { at, text: script, commands: commandsOf(shellCommands(script)), shell: command, spanOf: () => span };
  }
  const words = command.map((text) => ({ text, start: 0, end: 0 }));
  const span = file.valueSpan(at);
  const commands = commandsOf([{ words, isPiped: false, readsPipe: false }]);
  return { at, text: undefined, commands, shell: undefined, spanOf: () => span };

  function within(path: TomlPath): (part: Span) => Span {
    return (part) => file.textSpan(path, part);
  }
}

/** Whether a program is a shell of the kind that pipes are hidden in. */
export function isShell(program: string | undefined): boolean {
  return /(?:^|\/)(?:ba|da|a|k|z)?sh$/.test(program ?? '');
}

function commandsOf(commands: readonly ShellCommand[]): ScriptCommand[] {
  return commands.map((command) => {
    const effective = effectiveWords(command.words);
    return { ...command, effective, name: nameOf(effective[0]) };
  });
}
