import { nearest, ToolError } from '../core/index.ts';
import type { Command, Flag, FlagTable } from './command.ts';
import { flagHabits } from './docker-habits.ts';

/** One occurrence of a flag, its value as text; a switch's is `true` or `false`. */
export interface FlagOccurrence {
  readonly name: string;
  readonly value: string;
}

export interface Words {
  readonly flags: readonly FlagOccurrence[];
  readonly args: readonly string[];
  /** `--help` was among the flags. */
  readonly help: boolean;
}

/**
 * Splits a command's words as Docker's flags are read: `--flag value`, `--flag=value`, `-fvalue`, combined letters,
 * `--switch=false`, and `--` which ends flags.
 * @throws ToolError USAGE_FLAG_UNKNOWN, USAGE_FLAG_VALUE
 */
export function splitWords(verb: string, command: Command, words: readonly string[]): Words {
  const flags: FlagOccurrence[] = [];
  const args: string[] = [];
  let help = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word === '--') {
      args.push(...words.slice(at + 1));
      break;
    }
    // `-` is standard input, `-:TYPE` with what it holds.
    if (!word.startsWith('-') || word === '-' || word.startsWith('-:')) {
      if (command.stopsAtFirstArgument) {
        args.push(...words.slice(at));
        break;
      }
      args.push(word);
    } else if (isHelp(word, command.flags)) {
      help = true;
    } else {
      const read = word.startsWith('--')
        ? readLong(verb, command.flags, word, words[at + 1])
        : readShort(verb, command.flags, word, words[at + 1]);
      flags.push(...read.flags);
      if (read.tookNext) at++;
    }
  }
  return { flags, args, help };
}

interface Read {
  readonly flags: readonly FlagOccurrence[];
  /** The value was the following word. */
  readonly tookNext: boolean;
}

function readLong(verb: string, table: FlagTable, word: string, next: string | undefined): Read {
  const equals = word.indexOf('=');
  const name = word.slice(2, equals === -1 ? undefined : equals);
  const flag = Object.hasOwn(table, name) ? table[name] : undefined;
  if (flag === undefined) throw unknownFlag(verb, `--${name}`, table);
  const attached = equals === -1 ? undefined : word.slice(equals + 1);
  return readValue(verb, name, flag, `--${name}`, attached, next);
}

function readShort(verb: string, table: FlagTable, word: string, next: string | undefined): Read {
  const whole = Object.keys(table).find((key) => table[key]?.kind === 'switch' && table[key].word === word);
  if (whole !== undefined) return { flags: [{ name: whole, value: 'true' }], tookNext: false };
  const flags: FlagOccurrence[] = [];
  for (let at = 1; at < word.length; at++) {
    const letter = word[at] ?? '';
    const name = Object.keys(table).find((key) => table[key]?.short === letter);
    const flag = name === undefined ? undefined : table[name];
    if (name === undefined || flag === undefined) throw unknownFlag(verb, `-${letter}`, table, word);
    const rest = word.slice(at + 1);
    if (flag.kind === 'switch' && !rest.startsWith('=')) {
      flags.push({ name, value: 'true' });
      continue;
    }
    const attached = rest === '' ? undefined : rest.replace(/^=/, '');
    const read = readValue(verb, name, flag, `-${letter}`, attached, next);
    return { flags: [...flags, ...read.flags], tookNext: read.tookNext };
  }
  return { flags, tookNext: false };
}

function readValue(
  verb: string,
  name: string,
  flag: Flag,
  written: string,
  attached: string | undefined,
  next: string | undefined,
): Read {
  if (flag.kind === 'switch') {
    return { flags: [{ name, value: parseSwitch(verb, written, attached) }], tookNext: false };
  }
  const value = attached ?? next;
  if (value === undefined) throw flagValue(verb, `${written} needs a value: ${written} ${flag.placeholder}`);
  checkChoice(verb, flag, written, value);
  return { flags: [{ name, value }], tookNext: attached === undefined };
}

function checkChoice(verb: string, flag: Flag, written: string, value: string): void {
  if (flag.kind !== 'value' || flag.choices === undefined || flag.choices.includes(value)) return;
  throw flagValue(verb, `${written} is one of ${flag.choices.join(', ')}, not ${JSON.stringify(value)}`);
}

/** The spellings Go's flag packages take. */
function parseSwitch(verb: string, written: string, value = 'true'): 'true' | 'false' {
  if (/^(?:1|t|true)$/i.test(value)) return 'true';
  if (/^(?:0|f|false)$/i.test(value)) return 'false';
  throw flagValue(verb, `${written} is true or false, not ${JSON.stringify(value)}`);
}

/** `-h` asks for help where the command has no other use for the letter. */
function isHelp(word: string, table: FlagTable): boolean {
  return word === '--help' || (word === '-h' && !Object.values(table).some((flag) => flag.short === 'h'));
}

function unknownFlag(verb: string, written: string, table: FlagTable, word = written): ToolError {
  const near = written.startsWith('--') ? nearest(written.slice(2), Object.keys(table)) : undefined;
  const where = word === written ? '' : ` (in ${word})`;
  return new ToolError('USAGE_FLAG_UNKNOWN', `kiln ${verb} has no flag ${written}${where}`, {
    hint: flagHabits[verb]?.[written] ?? (near === undefined ? `see: kiln ${verb} --help` : `did you mean --${near}?`),
  });
}

function flagValue(verb: string, sentence: string): ToolError {
  return new ToolError('USAGE_FLAG_VALUE', sentence, { hint: `see: kiln ${verb} --help` });
}
