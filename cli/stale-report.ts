import { ToolError } from '../core/index.ts';
import { isRegistryTrouble, type Staleness, shownDigest } from '../rebuild/index.ts';
import { packageRows, packageSummary } from './diff-report.ts';
import { exitCodeFor, exitCodes } from './exit-codes.ts';
import { familiarName } from './image-names.ts';
import { columnsOf, harmlessLine } from './terminal-text.ts';

const stateWidth = 'unchecked'.length;

/** A line for each image, and below it the packages that moved; `quiet`: the names of those whose base moved. */
export function staleText(results: readonly Staleness[], { quiet }: { readonly quiet: boolean }): string {
  if (quiet) {
    return results
      .filter(({ state }) => state === 'stale')
      .map(({ image }) => harmlessLine(image))
      .join('\n');
  }
  const names = results.map(({ image }) => harmlessLine(image));
  const width = Math.max(...names.map(columnsOf));
  return results
    .flatMap((result, index) => {
      const name = names[index] ?? '';
      const head = `${name}${' '.repeat(width - columnsOf(name))}   ${result.state.padEnd(stateWidth)}`;
      return [`${head}   ${harmlessLine(sentenceOf(result))}`.trimEnd(), ...detailLines(result)];
    })
    .join('\n');
}

/** What could not be found out weighs more than what was. */
export function staleExitCode(results: readonly Staleness[]): number {
  const troubles = results.flatMap((result) => (result.state === 'unknown' ? [result.trouble] : []));
  if (troubles.some(isRegistryTrouble)) return exitCodes.registry;
  const [other] = troubles;
  if (other !== undefined) return exitCodeFor(new ToolError(other.code, other.message));
  return results.some(({ state }) => state === 'stale') ? exitCodes.updateAvailable : exitCodes.ok;
}

function sentenceOf(result: Staleness): string {
  const base = familiarName(result.base ?? '');
  switch (result.state) {
    case 'current':
      return `${base} ${shownDigest(result.baseDigest)}${result.by === 'layers' ? ', by its layers' : ''}`;
    case 'stale':
      return result.from === undefined
        ? `${base} is ${shownDigest(result.to)} now, whose layers it does not lie on`
        : `${base} ${shownDigest(result.from)} → ${shownDigest(result.to)}`;
    case 'unchecked':
      return result.why;
    case 'unknown':
      return result.trouble.message;
  }
}

function detailLines(result: Staleness): string[] {
  if (result.state === 'unknown') {
    return result.trouble.hint === undefined ? [] : [`  hint: ${harmlessLine(result.trouble.hint)}`];
  }
  if (result.state !== 'stale') return [];
  const { packages, notes = [] } = result;
  const moved =
    packages === undefined
      ? []
      : [
          `  packages: ${packages.length === 0 ? 'none differ' : packageSummary(packages)}`,
          ...packageRows(packages).map((row) => `  ${row}`),
        ];
  return [...moved, ...notes.map((note) => `  note: ${harmlessLine(note)}`)];
}
