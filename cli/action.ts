import { nearest, ToolError } from '../core/index.ts';
import { absentFlags, type FlagTable, type FlagValues } from './command.ts';

/** What follows a verb that is several: `kiln repo ls`. */
export interface Action<F extends FlagTable> {
  /** As the usage line has them: `REF FILE...`; the last may be left away when it ends in `]`. */
  readonly usage: string;
  /** How many words it takes. */
  readonly takes: readonly [least: number, most: number];
  /** Flags that mean something to it, beside those every action of the verb takes. */
  readonly flags: readonly (keyof F & string)[];
}

/**
 * The action that was named, once its words and flags are known to fit.
 * @throws ToolError USAGE_ARGUMENTS
 */
export function chooseAction<F extends FlagTable, const A extends Readonly<Record<string, Action<F>>>>(
  verb: string,
  actions: A,
  table: F,
  common: readonly (keyof F & string)[],
  given: { readonly action: string; readonly words: readonly string[]; readonly flags: FlagValues<F> },
): keyof A & string {
  const { words } = given;
  const names = Object.keys(actions);
  const action = Object.hasOwn(actions, given.action) ? actions[given.action] : undefined;
  if (action === undefined) {
    const near = nearest(given.action, names);
    throw new ToolError('USAGE_ARGUMENTS', `kiln ${verb} has no ${JSON.stringify(given.action)}`, {
      hint: near === undefined ? `write ${listed(names)}` : `did you mean kiln ${verb} ${near}?`,
    });
  }
  const line = `kiln ${verb} ${given.action} ${action.usage}`;
  const [least, most] = action.takes;
  if (words.length < least) throw new ToolError('USAGE_ARGUMENTS', `too few words: ${line}`, see(verb));
  if (words.length > most) {
    throw new ToolError('USAGE_ARGUMENTS', `${JSON.stringify(words[most])} is one word too many: ${line}`, see(verb));
  }
  const absent = absentFlags(table);
  for (const name of Object.keys(table)) {
    const isGiven = JSON.stringify(given.flags[name]) !== JSON.stringify(absent[name]);
    if (!isGiven || common.includes(name) || action.flags.includes(name)) continue;
    const takers = names.filter((other) => actions[other]?.flags.includes(name));
    throw new ToolError('USAGE_ARGUMENTS', `kiln ${verb} ${given.action} has no flag --${name}`, {
      hint: `it belongs to kiln ${verb} ${listed(takers)}`,
    });
  }
  return given.action;
}

function see(verb: string): { readonly hint: string } {
  return { hint: `see: kiln ${verb} --help` };
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}
