import { formatPlatform, type Platform } from '../../core/index.ts';
import { type DeclaredArg, predefinedNames, type WrittenText } from '../buildfile/declared-args.ts';
import { listed, type Problem, quoted, suggest } from '../buildfile/problems.ts';
import { replaceVariables, variablesIn } from '../buildfile/variables.ts';
import type { ConditionScope } from './conditions.ts';
import type { PlanOptions } from './plan-options.ts';
import { orderStages, shownCycle } from './stage-graph.ts';

export interface ResolvedArguments {
  /** Arguments and predefined names, as texts, conditions and scripts see them. */
  readonly scope: ConditionScope;
  readonly problems: readonly Problem[];
}

/** What stands for the file in problems with `--build-arg`. */
const buildArg = { file: '--build-arg', line: 1, column: 1 };
/** They reach `run` without being declared, and take part in no key, history or plan. */
const proxyNames = /^(?:https?|ftp|all|no)_proxy$/i;
const epochName = 'SOURCE_DATE_EPOCH';

/** Gives every argument its value: `--build-arg`, else its default, which may use other arguments. */
export function resolveArguments(declared: ReadonlyMap<string, DeclaredArg>, options: PlanOptions): ResolvedArguments {
  const names = new Set<string>([...declared.keys(), ...predefinedNames]);
  const resolver = new ArgumentResolver(names, predefinedValues(options), options.args);
  const { order, cycles } = orderStages(dependencies(declared, options.args), declared.keys());
  for (const { path, position } of cycles) {
    for (const name of path) resolver.scope.broken.add(name);
    const message = `arguments need each other: ${shownCycle(path)}`;
    resolver.problems.push({ code: 'BUILDFILE_CYCLE', message, position });
  }
  for (const name of order) {
    const arg = declared.get(name);
    if (arg !== undefined) resolver.resolve(arg);
  }
  return { scope: resolver.scope, problems: [...resolver.problems, ...givenProblems(names, options)] };
}

class ArgumentResolver {
  readonly problems: Problem[] = [];
  readonly scope: {
    readonly names: ReadonlySet<string>;
    readonly values: Map<string, string>;
    readonly broken: Set<string>;
    readonly allowed: Map<string, readonly string[]>;
  };
  readonly #given: ReadonlyMap<string, string>;

  constructor(names: ReadonlySet<string>, values: Map<string, string>, given: ReadonlyMap<string, string>) {
    this.scope = { names, values, broken: new Set(), allowed: new Map() };
    this.#given = given;
  }

  resolve(arg: DeclaredArg): void {
    const { name, document } = arg;
    const { values, broken, allowed } = this.scope;
    if (broken.has(name)) return;
    const possible = arg.allowed.flatMap((text) => this.#replace(text) ?? []);
    allowed.set(name, possible);
    const given = this.#given.get(name);
    const value = given ?? (arg.default === undefined ? undefined : this.#replace(arg.default));
    if (value !== undefined) values.set(name, value);
    else if (arg.isBroken || arg.default !== undefined) broken.add(name);
    else if (arg.required) {
      broken.add(name);
      const message = `argument ${quoted(name)} is required; give it with --build-arg ${name}=…`;
      this.problems.push({ code: 'BUILDFILE_MISSING_ARG', message, position: document.keyPosition(['args', name]) });
    }
    if (value === undefined || possible.length < arg.allowed.length || possible.length === 0) return;
    if (possible.includes(value)) return;
    const written = arg.default;
    const position =
      given !== undefined || written === undefined ? buildArg : written.document.valuePosition(written.at);
    const message = `${quoted(value)} is no value for argument ${quoted(name)}; it may be ${listed(possible.map(quoted))}`;
    this.problems.push({ code: 'BUILDFILE_BAD_VALUE', message, position, ...suggest(value, possible) });
  }

  #replace({ text, document, at }: WrittenText): string | undefined {
    const replaced = replaceVariables(text, this.scope);
    for (const { code, part, ...problem } of replaced.problems) {
      this.problems.push({ ...problem, code: `BUILDFILE_${code}`, position: document.valuePosition(at, part) });
    }
    return replaced.text;
  }
}

/** Which arguments the text of each one uses. A default that is not used needs none. */
function dependencies(declared: ReadonlyMap<string, DeclaredArg>, given: ReadonlyMap<string, string>) {
  return new Map(
    Array.from(declared, ([name, arg]) => {
      const texts = [...arg.allowed, ...(arg.default === undefined || given.has(name) ? [] : [arg.default])];
      const needs = texts.flatMap(({ text, document, at }) =>
        [...variablesIn(text)]
          .filter((used) => declared.has(used))
          .map((stage) => ({ stage, position: document.valuePosition(at, `\${${stage}`) })),
      );
      return [name, needs] as const;
    }),
  );
}

/** An explicit SOURCE_DATE_EPOCH in seconds: the option, or the argument of that name as Docker takes it. */
export function sourceDateEpochOf(options: PlanOptions): number | undefined {
  const given = options.args.get(epochName);
  return options.sourceDateEpoch ?? (given === undefined || !/^\d{1,11}$/.test(given) ? undefined : Number(given));
}

function givenProblems(names: ReadonlySet<string>, options: PlanOptions): Problem[] {
  const problems: Problem[] = [];
  for (const [name, value] of options.args) {
    if (value.includes('\0')) report(`the value of ${quoted(name)} contains the character U+0000`);
    if (name === epochName && !/^\d{1,11}$/.test(value)) report(`${epochName} is a number of seconds`);
    if (predefinedNames.some((predefined) => predefined === name)) report(`${quoted(name)} is predefined`);
    if (names.has(name) || proxyNames.test(name) || name === epochName) continue;
    const message = `the Buildfile declares no argument ${quoted(name)}`;
    problems.push({ code: 'BUILDFILE_UNKNOWN_ARG', message, position: buildArg, ...suggest(name, names) });
  }
  return problems;

  function report(message: string): void {
    problems.push({ code: 'BUILDFILE_BAD_VALUE', message, position: buildArg });
  }
}

function predefinedValues({ platform, buildPlatform }: PlanOptions): Map<string, string> {
  return new Map([...platformValues('TARGET', platform), ...platformValues('BUILD', buildPlatform)]);
}

function platformValues(prefix: string, platform: Platform): [string, string][] {
  return [
    [`${prefix}PLATFORM`, formatPlatform(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ''],
  ];
}
