import { countText, type Move, type Refreshed, shownPin, type Trouble } from '../builder/index.ts';
import { formatTable } from './table.ts';
import { harmlessLine } from './terminal-text.ts';

/** Entries and, below each set, its packages: what is locked, and what there is now. Empty when nothing moves. */
export function outdatedTable(moves: readonly Move[]): string {
  return moves.length === 0 ? '' : formatTable(['ENTRY', 'LOCKED', 'NOW'], moves.flatMap(moveRows));
}

/** The same as what happened to the lock file: `libc6   2.36-9 → 2.36-9+deb12u9`. */
export function updateTable(moves: readonly Move[]): string {
  const rows = moves
    .flatMap(moveRows)
    .map(([entry = '', from = '', to = '']) => [entry, [from, to].filter((text) => text !== '').join(' → ')]);
  return rows.length === 0 ? '' : formatTable(['ENTRY', 'CHANGE'], rows);
}

export function troubleLine({ key, error }: Trouble): string {
  return `kiln: ${harmlessLine(`${key} could not be asked for: ${error.message}`)}\n`;
}

/** `2 entries moved, 1 is new`: a sentence's middle. */
export function summaryOf(moves: readonly Move[]): string {
  const fresh = moves.filter(({ isNew, instead }) => isNew && instead === undefined);
  const gone = moves.filter(({ isUnused }) => isUnused);
  const moved = moves.length - fresh.length - gone.length;
  const parts = [
    ...(moved === 0 ? [] : [`${entries(moved)} moved`]),
    ...(fresh.length === 0 ? [] : [`${fresh.length} new`]),
    ...(gone.length === 0 ? [] : [`${gone.length} dropped, which nothing uses`]),
  ];
  return parts.join(', ');
}

/** One object for scripts: digests and versions in full. */
export function movesAsJson(
  file: string,
  { moves, troubles }: Refreshed,
  more: Readonly<Record<string, unknown>>,
): string {
  const failed = troubles.map(({ kind, key, error }) => ({
    kind,
    key,
    error: { code: error.code, message: error.message },
  }));
  return `${JSON.stringify({ file, ...more, moves, ...(failed.length === 0 ? {} : { troubles: failed }) })}\n`;
}

function moveRows(move: Move): string[][] {
  const { key, from, to, packages, isNew, isUnused, instead } = move;
  if (isUnused) return [[key, shownPin(from) || 'locked', 'not used']];
  if (packages === undefined) return [[key, isNew ? 'not locked' : shownPin(from), shownPin(to)]];
  if (isNew && instead === undefined) return [[key, 'not locked', countText(packages.length)]];
  return [
    [key, '', countText(packages.length)],
    ...packages.map((one) => [`  ${one.name}`, one.from ?? 'not there', one.to ?? 'not needed']),
  ];
}

function entries(count: number): string {
  return `${count} ${count === 1 ? 'entry' : 'entries'}`;
}
