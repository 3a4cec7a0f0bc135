import type { Context } from './context.ts';

/** A flag, as data. The key it stands under is its long name. Values default to false, undefined or the empty list. */
export type Flag =
  | {
      readonly kind: 'switch';
      readonly short?: string;
      /** A whole word that means the same, such as `-it`. */
      readonly word?: string;
      /** `--flag=false` is another thing than no flag: the value is then false, and else undefined. */
      readonly threeWay?: true;
      readonly summary: string;
    }
  | ValueFlag
  | { readonly kind: 'list'; readonly short?: string; readonly placeholder: string; readonly summary: string };

export interface ValueFlag {
  readonly kind: 'value';
  readonly short?: string;
  readonly placeholder: string;
  readonly summary: string;
  /** The only values taken. */
  readonly choices?: readonly string[];
}

export type FlagTable = Readonly<Record<string, Flag>>;

export type FlagValues<F extends FlagTable> = {
  readonly [Name in keyof F]: F[Name]['kind'] extends 'switch'
    ? F[Name] extends { readonly threeWay: true }
      ? boolean | undefined
      : boolean
    : F[Name]['kind'] extends 'list'
      ? readonly string[]
      : string | undefined;
};

export interface Argument {
  /** As the usage line has it: `CONTEXT`. */
  readonly name: string;
  readonly summary: string;
  readonly optional?: boolean;
  /** Takes all that follow. Only the last may. */
  readonly many?: boolean;
}

export interface Example {
  readonly line: string;
  readonly says: string;
}

/** What a verb takes and does. Its name and its one-line summary are in command-table.ts. */
export interface Command<F extends FlagTable = FlagTable> {
  /** What `--help` says below the summary: whole sentences. */
  readonly about?: string;
  readonly arguments: readonly Argument[];
  readonly flags: F;
  /** Headings of `--help` and the flags below each; all are below one heading unless said. */
  readonly flagGroups?: Readonly<Record<string, readonly (keyof F & string)[]>>;
  readonly examples: readonly Example[];
  /** Everything from the first argument on is an argument, even `--flags`: they belong to the container's command. */
  readonly stopsAtFirstArgument?: boolean;
  /** Resolves to the exit code. Errors are thrown, not printed. */
  run(context: Context, flags: FlagValues<F>, args: readonly string[]): Promise<number>;
}

/** Gives a command's `run` the exact type of its flags. */
export function defineCommand<const F extends FlagTable>(command: Command<F>): Command<F> {
  return command;
}

/** Flags that another verb has too. */
export function pickFlags<F extends FlagTable, N extends keyof F & string>(table: F, names: readonly N[]): Pick<F, N> {
  // Exactly the names that Pick has.
  return Object.fromEntries(names.map((name) => [name, table[name]])) as Pick<F, N>;
}

/** What flags are when none of them is given. */
export function absentFlags<F extends FlagTable>(table: F): FlagValues<F> {
  const values = Object.entries(table).map(([name, flag]) => [
    name,
    flag.kind === 'list' ? [] : flag.kind === 'switch' && !flag.threeWay ? false : undefined,
  ]);
  // Each kind has the type that FlagValues gives it.
  return Object.fromEntries(values) as FlagValues<F>;
}
