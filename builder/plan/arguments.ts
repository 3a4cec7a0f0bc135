import { formatPlatform, type Platform } from '../../core/index.ts';
import type { BuildfileContent } from '../buildfile/buildfile-schema.ts';
import { type Problem, quoted, suggest } from '../buildfile/problems.ts';
import { knownNames, predefinedNames } from '../buildfile/read.ts';
import type { TomlDocument } from '../buildfile/toml.ts';
import { replaceVariables, type VariableScope } from '../buildfile/variables.ts';
import type { PlanOptions } from './plan-options.ts';

export interface ResolvedArguments {
  /** Arguments and predefined names, as texts and scripts see them. */
  readonly scope: VariableScope & { readonly values: ReadonlyMap<string, string> };
  readonly problems: readonly Problem[];
}

/** What stands for the file in problems with `--build-arg`. */
const buildArg = '--build-arg';
/** They reach `run` without being declared, and take part in no key, history or plan. */
const proxyNames = /^(?:https?|ftp|all|no)_proxy$/i;
const epochName = 'SOURCE_DATE_EPOCH';

/** Gives every argument its value: `--build-arg`, else its default, in which the arguments before it may be used. */
export function resolveArguments(
  declared: BuildfileContent['args'] = {},
  document: TomlDocument,
  options: PlanOptions,
): ResolvedArguments {
  const values = predefinedValues(options);
  const names = new Set<string>(predefinedNames);
  const broken = new Set<string>();
  const problems: Problem[] = [];
  for (const name of knownNames(document)) {
    if (!names.has(name)) resolve(name, Object.hasOwn(declared, name) ? declared[name] : undefined);
    names.add(name);
  }
  return {
    scope: { names: knownNames(document), values, broken },
    problems: [...problems, ...givenProblems(names, options)],
  };

  function resolve(name: string, declaration: (typeof declared)[string] | undefined): void {
    const given = options.args.get(name);
    if (given !== undefined) values.set(name, given);
    else if (declaration === undefined) broken.add(name);
    else if (typeof declaration === 'string') useDefault(name, declaration);
    else if (declaration.required) {
      broken.add(name);
      const message = `argument ${quoted(name)} is required; give it with --build-arg ${name}=…`;
      problems.push({ code: 'BUILDFILE_MISSING_ARG', message, position: document.keyPosition(['args', name]) });
    }
  }
  function useDefault(name: string, text: string): void {
    const replaced = replaceVariables(text, { names, values, broken });
    if (replaced.text === undefined) broken.add(name);
    else values.set(name, replaced.text);
    for (const { code, part, ...problem } of replaced.problems) {
      const position = document.valuePosition(['args', name], part);
      problems.push({ ...problem, code: `BUILDFILE_${code}`, position });
    }
  }
}

/** An explicit SOURCE_DATE_EPOCH in seconds: the option, or the argument of that name as Docker takes it. */
export function sourceDateEpochOf(options: PlanOptions): number | undefined {
  const given = options.args.get(epochName);
  return options.sourceDateEpoch ?? (given === undefined || !/^\d{1,11}$/.test(given) ? undefined : Number(given));
}

function givenProblems(names: ReadonlySet<string>, options: PlanOptions): Problem[] {
  const problems: Problem[] = [];
  const position = { file: buildArg, line: 1, column: 1 };
  for (const [name, value] of options.args) {
    if (value.includes('\0')) report(`the value of ${quoted(name)} contains the character U+0000`);
    if (name === epochName && !/^\d{1,11}$/.test(value)) report(`${epochName} is a number of seconds`);
    if (predefinedNames.some((predefined) => predefined === name)) report(`${quoted(name)} is predefined`);
    if (names.has(name) || proxyNames.test(name) || name === epochName) continue;
    const message = `the Buildfile declares no argument ${quoted(name)}`;
    problems.push({ code: 'BUILDFILE_UNKNOWN_ARG', message, position, ...suggest(name, names) });
  }
  return problems;

  function report(message: string): void {
    problems.push({ code: 'BUILDFILE_BAD_VALUE', message, position });
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
