import { CommanderError, type Help, Option, Command as Program } from 'commander';
import { ToolError } from '../core/index.ts';
import { splitWords } from './argv.ts';
import type { Argument, Command, Flag, FlagTable } from './command.ts';
import { type CommandEntry, commandTable } from './command-table.ts';

export type Invocation =
  | { readonly kind: 'help' }
  | {
      readonly kind: 'run';
      readonly flags: Readonly<Record<string, boolean | string | readonly string[] | undefined>>;
      readonly args: readonly string[];
    };

/**
 * Reads the words after the verb.
 * @throws ToolError USAGE_FLAG_UNKNOWN, USAGE_FLAG_VALUE, USAGE_ARGUMENTS
 */
export function parseInvocation(entry: CommandEntry, command: Command, words: readonly string[]): Invocation {
  const { flags, args, help } = splitWords(entry.name, command, words);
  if (help) return { kind: 'help' };

  const program = describeCommand(entry, command);
  try {
    program.parse(normalForm(command.flags, flags, args), { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) throw usageError(entry, command, error, args);
    throw error;
  }
  return { kind: 'run', flags: valuesOf(command.flags, program), args: program.args };
}

/** `kiln VERB --help`. */
export function commandHelp(entry: CommandEntry, command: Command, columns: number): string {
  const program = describeCommand(entry, command, columns);
  const examples = command.examples.map(({ line, says }) => `  # ${says}\n  ${line}\n`).join('\n');
  return `${program.helpInformation().trimEnd()}\n\nExamples:\n${examples}`;
}

/** `kiln --help`. */
export function rootHelp(columns: number): string {
  const program = new Program('kiln')
    .usage('COMMAND [flags] [arguments]')
    .description('Builds, pushes, pulls, runs and keeps patched: container images from Buildfiles.')
    .helpOption(false)
    .helpCommand(false)
    .configureHelp(helpStyle(columns));
  for (const { name, summary, group } of commandTable) {
    program.addCommand(new Program(name).summary(summary).helpGroup(`${group}:`).usage(''));
  }
  return `${program.helpInformation().trimEnd()}

Flags:
  --help       Show this; kiln COMMAND --help says more about a command
  --version    Show the version

Environment:
  KILN_HOME        The store (default: /var/lib/kiln for root, else ~/.local/share/kiln)
  KILN_PROGRESS    auto, plain, tty or quiet
  KILN_DEBUG=1     Show where in Kiln an error came from
  NO_COLOR         No live progress, no escape sequences

Example:
  # Build an image from the Buildfile in this folder, and run it
  kiln build -t hello . && kiln run --rm hello
`;
}

/** Flags in one spelling; a switch set to false takes back what was said before it, unless false says something. */
function normalForm(
  table: FlagTable,
  flags: readonly { name: string; value: string }[],
  args: readonly string[],
): string[] {
  let words: string[] = [];
  for (const { name, value } of flags) {
    const flag = table[name];
    if (flag?.kind !== 'switch' || flag.threeWay) words.push(`--${name}=${value}`);
    else if (value === 'true') words.push(`--${name}`);
    else words = words.filter((word) => word !== `--${name}`);
  }
  return [...words, '--', ...args];
}

function describeCommand(entry: CommandEntry, command: Command, columns = 80): Program {
  const program = new Program(`kiln ${entry.name}`)
    .usage(usageOf(command))
    .description([`${entry.summary}.`, command.about ?? ''].filter((text) => text !== '').join('\n\n'))
    .helpOption(false)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {}, writeOut: () => {} })
    .configureHelp(helpStyle(columns));
  for (const argument of command.arguments) program.argument(argumentTerm(argument), argument.summary);
  for (const [heading, names] of flagGroups(command)) {
    for (const name of names) {
      const flag = command.flags[name];
      if (flag !== undefined) program.addOption(describeFlag(name, flag, heading));
    }
  }
  return program;
}

/** Headings and the flags below them, in the order of the help; what no group names comes last. */
function flagGroups({ flags, flagGroups: groups = {} }: Command): readonly (readonly [string, readonly string[]])[] {
  const grouped = new Set(Object.values(groups).flat());
  const others = Object.keys(flags).filter((name) => !grouped.has(name));
  return [...Object.entries(groups), [grouped.size === 0 ? 'Flags' : 'Other flags', others]];
}

function describeFlag(name: string, flag: Flag, heading: string): Option {
  const short = flag.short === undefined ? '' : `-${flag.short}, `;
  const value = flag.kind !== 'switch' ? ` <${flag.placeholder}>` : flag.threeWay ? ' [=false]' : '';
  const option = new Option(`${short}--${name}${value}`, flag.summary).helpGroup(`${heading}:`);
  return flag.kind === 'list' ? option.argParser(collect) : option;
}

/** commander takes `--no-cache-filter` for a negation, whose value is true until it is given. */
function collect(value: string, previous: readonly string[] | true | undefined): readonly string[] {
  return [...(Array.isArray(previous) ? previous : []), value];
}

/** commander reads `--no-cache` as the negation of `cache`: its attribute is `cache`, and false when it was given. */
function valuesOf(
  table: FlagTable,
  program: Program,
): Record<string, boolean | string | readonly string[] | undefined> {
  return Object.fromEntries(
    program.options.map((option) => {
      const name = (option.long ?? '').slice(2);
      const value: unknown = program.getOptionValue(option.attributeName());
      const flag = table[name];
      switch (flag?.kind) {
        case 'switch':
          if (flag.threeWay) return [name, value === undefined ? undefined : value === 'true'];
          return [name, option.negate ? value === false : value === true];
        case 'list':
          return [name, Array.isArray(value) ? value.map(String) : []];
        default:
          return [name, typeof value === 'string' ? value : undefined];
      }
    }),
  );
}

function usageOf(command: Command): string {
  const flags = Object.keys(command.flags).length === 0 ? [] : ['[flags]'];
  return [...flags, ...command.arguments.map(argumentUsage)].join(' ');
}

function argumentUsage({ name, optional, many }: Argument): string {
  const text = many ? `${name}...` : name;
  return optional ? `[${text}]` : text;
}

function argumentTerm({ name, optional, many }: Argument): string {
  const text = many ? `${name}...` : name;
  return optional ? `[${text}]` : `<${text}>`;
}

function usageError(entry: CommandEntry, command: Command, error: CommanderError, args: readonly string[]): ToolError {
  const hint = `see: kiln ${entry.name} --help`;
  switch (error.code) {
    case 'commander.missingArgument': {
      const missing = command.arguments[args.length]?.name ?? 'argument';
      return new ToolError(
        'USAGE_ARGUMENTS',
        `kiln ${entry.name} needs ${missing}: kiln ${entry.name} ${usageOf(command)}`,
        { hint },
      );
    }
    case 'commander.excessArguments': {
      const excess = JSON.stringify(args[command.arguments.length] ?? '');
      const takes = `kiln ${entry.name} ${usageOf(command)}`.trimEnd();
      return new ToolError('USAGE_ARGUMENTS', `kiln ${entry.name} does not take ${excess}: ${takes}`, { hint });
    }
    default:
      return new ToolError('USAGE_INVALID', error.message.replace(/^error: /, ''), { hint });
  }
}

function helpStyle(columns: number): Partial<Help> {
  return {
    helpWidth: Math.min(columns, 110),
    // commander wraps no column below 40: a long placeholder would leave the texts beside it as they are.
    minWidthToWrap: 20,
    optionTerm: (option) =>
      `${option.short === undefined ? '    ' : ''}${option.flags.replace(/<(.*)>$/, '$1').replace(' [=false]', '')}`,
    subcommandTerm: (command) => command.name(),
  };
}
