import { setImmediate } from 'node:timers/promises';
import { nearest, ToolError } from '../core/index.ts';
import type { CommandEntry } from './command-table.ts';
import { commandTable, findCommand } from './command-table.ts';
import type { Context, Environment } from './context.ts';
import { verbHabits } from './docker-habits.ts';
import { exitCodeFor, exitCodes } from './exit-codes.ts';
import { Interruption, type SignalSource } from './interruption.ts';
import { openTerminal, type ProcessStreams, type Terminal } from './terminal.ts';

/** What the command line needs of a process; a test makes its own. */
export interface Host extends ProcessStreams, SignalSource {
  /** As in Node: interpreter, script, words. */
  readonly argv: readonly string[];
  readonly env: Environment;
  cwd(): string;
  exit(code: number): never;
}

/** Runs one command line and resolves to the exit code. */
export async function main(host: Host): Promise<number> {
  const words = host.argv.slice(2);
  const terminal = openTerminal(host, host.env);
  using interruption = new Interruption(host, (code) => host.exit(code));
  try {
    const exitCode = await dispatch(words, {
      terminal,
      env: host.env,
      folder: host.cwd(),
      clock: { now: () => Date.now() },
      signal: interruption.signal,
      passSignalsOn: () => interruption.passOn(),
      words,
    });
    await setImmediate();
    const failure = terminal.outputFailure();
    if (failure !== undefined) throw outputError(failure);
    return exitCode;
  } catch (thrown) {
    const error = firstError(thrown);
    if (interruption.exitCode !== undefined) {
      terminal.err.write('kiln: interrupted\n');
      return interruption.exitCode;
    }
    await report(error, words, terminal, host.env);
    return words[0] === 'run' ? runExitCode(error) : exitCodeFor(error);
  }
}

async function dispatch(words: readonly string[], context: Context): Promise<number> {
  const [verb, ...rest] = words;
  switch (verb) {
    case undefined:
    case '--help':
    case '-h':
      return showHelp(context.terminal, verb === undefined ? exitCodes.usage : exitCodes.ok);
    case 'help':
      return rest[0] === undefined
        ? showHelp(context.terminal, exitCodes.ok)
        : runCommand(commandFor(rest[0]), ['--help'], context);
    case '--version':
    case '-v':
      return runCommand(commandFor('version'), [], context);
    default:
      return runCommand(commandFor(verb), rest, context);
  }
}

async function runCommand(entry: CommandEntry, words: readonly string[], context: Context): Promise<number> {
  const [command, { commandHelp, parseInvocation }] = await Promise.all([entry.load(), import('./program.ts')]);
  const invocation = parseInvocation(entry, command, words);
  if (invocation.kind === 'help') {
    context.terminal.out.write(commandHelp(entry, command, context.terminal.out.columns ?? 80));
    return exitCodes.ok;
  }
  // parseInvocation made one value per flag of this very command.
  return command.run(context, invocation.flags as Parameters<typeof command.run>[1], invocation.args);
}

/** Without a verb the help is not what was asked for, so it goes to stderr. */
async function showHelp(terminal: Terminal, exitCode: number): Promise<number> {
  const { rootHelp } = await import('./program.ts');
  const sink = exitCode === exitCodes.ok ? terminal.out : terminal.err;
  sink.write(rootHelp(sink.columns ?? 80));
  return exitCode;
}

function commandFor(verb: string): CommandEntry {
  const entry = findCommand(verb);
  if (entry !== undefined) return entry;
  if (verb.startsWith('-')) {
    throw new ToolError('USAGE_FLAG_UNKNOWN', `kiln has no flag ${verb} before the command`, {
      hint: 'see: kiln --help',
    });
  }
  const habit = Object.hasOwn(verbHabits, verb) ? verbHabits[verb] : undefined;
  const near = nearest(
    verb,
    commandTable.map(({ name }) => name),
  );
  throw new ToolError('USAGE_COMMAND_UNKNOWN', `kiln has no command ${JSON.stringify(verb)}`, {
    hint: habit ?? (near === undefined ? 'see: kiln --help' : `did you mean kiln ${near}?`),
  });
}

/** A full disk behind `>` must not look like success. */
function outputError(cause: NodeJS.ErrnoException): ToolError {
  return new ToolError('OUTPUT_FAILED', `the output could not be written (${cause.code ?? cause.message})`, { cause });
}

/** What went wrong first; what then failed while cleaning up is only its consequence. */
function firstError(error: unknown): unknown {
  return error instanceof SuppressedError ? firstError(error.suppressed) : error;
}

async function report(error: unknown, words: readonly string[], terminal: Terminal, env: Environment): Promise<void> {
  const { reportError, reportErrorAsJson } = await import('./error-report.ts');
  // `run` hands its words to the container's command, whose --json is none of ours.
  const asJson = words[0] !== 'run' && words.includes('--json');
  const debug = env.KILN_DEBUG === '1';
  terminal.err.write(asJson ? reportErrorAsJson(error) : await reportError(error, { debug }));
}

/** Docker's convention: what goes wrong before the container's command runs is 125, whatever it was. */
function runExitCode(error: unknown): number {
  const { code } = error instanceof ToolError ? error : { code: '' };
  switch (code) {
    case 'SANDBOX_COMMAND_NOT_FOUND':
      return exitCodes.runNotFound;
    case 'SANDBOX_COMMAND_NOT_EXECUTABLE':
      return exitCodes.runCannotInvoke;
    default:
      return exitCodes.runEngine;
  }
}
