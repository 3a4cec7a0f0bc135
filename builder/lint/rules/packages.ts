import { quoted } from '../../buildfile/problems.ts';
import type { TomlPath } from '../../buildfile/toml.ts';
import type { LintFile } from '../lint-file.ts';
import { type Edit, type Rule, valueBreach } from '../rule.ts';
import type { LintSubject } from '../subject.ts';

export const unsortedPackages: Rule = {
  name: 'unsorted-packages',
  severity: 'note',
  what: 'A list of packages that is not in alphabetical order.',
  why: 'In a sorted list a name is found at once, and two people who add one each do not collide.',
  isFixable: true,
  *check(subject) {
    for (const { file, at, names } of packageLists(subject)) {
      const sorted = names.toSorted();
      const index = names.findIndex((name, position) => name !== sorted[position]);
      if (index === -1) continue;
      const spans = names.map((_, position) => file.valueSpan([...at, position]));
      const place = new Map(names.map((name, position) => [name, spans[position]] as const));
      const edits = spans.flatMap((span, position): Edit[] => {
        const source = place.get(sorted[position] ?? '');
        return source === undefined ? [] : [{ ...span, text: file.source(source) }];
      });
      const message = `these packages are not sorted: ${quoted(sorted[index] ?? '')} comes before ${quoted(names[index] ?? '')}`;
      const span = spans[index] ?? file.valueSpan(at);
      yield { file, at, span, message, ...(hasComments(file, at) ? {} : { fix: edits }) };
    }
  },
};

export const repeatedPackage: Rule = {
  name: 'repeated-package',
  severity: 'warning',
  what: 'A package that is in its list twice.',
  why: 'Whoever takes one of them out believes that it is gone.',
  isFixable: true,
  *check(subject) {
    for (const { file, at, names } of packageLists(subject)) {
      const seen = new Set<string>();
      for (const [index, name] of names.entries()) {
        if (seen.has(name)) {
          const entry = [...at, index];
          const fix = { start: file.valueSpan([...at, index - 1]).end, end: file.valueSpan(entry).end, text: '' };
          const message = `${quoted(name)} is in this list already`;
          yield { ...valueBreach(file, entry, message), ...(hasComments(file, at) ? {} : { fix: [fix] }) };
        }
        seen.add(name);
      }
    }
  },
};

interface PackageList {
  readonly file: LintFile;
  readonly at: TomlPath;
  /** As they are written, variables not replaced. */
  readonly names: readonly string[];
}

function* packageLists({ stages }: LintSubject): Generator<PackageList> {
  for (const { file, at, steps } of stages.values()) {
    yield* listAt(file, [...at, 'from', 'include']);
    for (const step of steps) yield* listAt(file, [...step.at, 'packages']);
  }
}

function* listAt(file: LintFile, at: TomlPath): Generator<PackageList> {
  const { document } = file.part;
  if (!document.has(at)) return;
  let value: unknown = document.value;
  for (const key of at) value = (value as Readonly<Record<string | number, unknown>>)[key];
  if (Array.isArray(value) && value.every((name) => typeof name === 'string')) yield { file, at, names: value };
}

/** What a comment is about moves with no package. */
function hasComments(file: LintFile, at: TomlPath): boolean {
  const list = file.valueSpan(at);
  const node = file.nodesTo(at).at(-1);
  let from = list.start;
  for (const element of node?.children.values() ?? []) {
    if (file.text.slice(from, element.valueStart).includes('#')) return true;
    from = element.valueEnd;
  }
  return file.text.slice(from, list.end).includes('#');
}
