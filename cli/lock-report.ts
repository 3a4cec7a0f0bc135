import { countText, type Move, type Refreshed, shownPin, type Trouble } from '../builder/index.ts';
import type { ToolError } from '../core/index.ts';
import { formatTable } from './table.ts';
import { harmlessLine, harmlessText } from './terminal-text.ts';

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

/** What could not be asked for, and below it why: a reason that several share is told once. */
export function troubleLines(troubles: readonly Trouble[]): string {
  const byReason = new Map<string, { readonly keys: string[]; readonly error: ToolError }>();
  for (const { key, error } of troubles) {
    const reason = withoutKey(error.message, key);
    const known = byReason.get(reason);
    if (known === undefined) byReason.set(reason, { keys: [key], error });
    else known.keys.push(key);
  }
  return [...byReason.values()].map(({ keys, error }) => reasonLines(keys, error)).join('');
}

/** Messages often name what was asked for, or its URL: each is another text then, and the reason at a host still one. */
function withoutKey(message: string, key: string): string {
  return message.replaceAll(key, '…').replace(/(https?:\/\/[^\s/]+)\/\S*/g, '$1');
}

function reasonLines(keys: readonly string[], { message, hint }: ToolError): string {
  const heads = keys.map((key) => `kiln: ${harmlessLine(key)} could not be asked for`);
  const reason = harmlessText(message.trimEnd()).split('\n');
  return [
    ...heads,
    ...reason.map((line) => `  ${line}`),
    ...(hint === undefined ? [] : [`  hint: ${harmlessLine(hint)}`]),
  ]
    .map((line) => `${line}\n`)
    .join('');
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
