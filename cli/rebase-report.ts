import { type PlatformRebase, type RebasePlan, shownDigest } from '../rebuild/index.ts';
import { packageRows, packageSummary } from './diff-report.ts';
import { familiarName } from './image-names.ts';
import { harmlessLine } from './terminal-text.ts';

export interface ShownRebase {
  readonly image: string;
  /** Where the result is, when it was written. */
  readonly name?: string;
  readonly state: string;
  readonly before: PlatformRebase['digest'];
  readonly after: PlatformRebase['digest'] | undefined;
  readonly images: readonly PlatformRebase[];
  readonly notes: readonly string[];
}

const shownItems = 12;

/** What a rebase did, or would do. Without a line break at its end. */
export function rebaseText({ image, name = image, state, before, after, images, notes }: ShownRebase): string {
  const shown = harmlessLine(familiarName(name));
  if (after === undefined || state === 'current') return `${shown} lies on its base as it is now: ${before}`;
  const head = state === 'safe' ? `${shown} can be rebased: ${before} → ${after}` : `${shown}: ${before} → ${after}`;
  const several = images.length > 1;
  return [head, ...images.flatMap((one) => imageLines(one, several)), ...notes.map(noteLine)].join('\n');
}

/** Why an image was not rebased: every reason, and what to do instead. Ends with a line break. */
export function refusalText(image: string, { images }: RebasePlan): string {
  const several = images.length > 1;
  const lines = images.flatMap(({ platform, reasons }) =>
    reasons.flatMap(({ message, items = [] }) => {
      const more = items.length - shownItems;
      return [
        `  - ${several ? `${platform}: ` : ''}${harmlessLine(message)}`,
        ...items.slice(0, shownItems).map((item) => `      ${harmlessLine(item)}`),
        ...(more > 0 ? [`      … and ${more} more`] : []),
      ];
    }),
  );
  return [
    `kiln: ${harmlessLine(familiarName(image))} cannot be rebased safely:`,
    ...lines,
    '  hint: build it again on the new base: kiln build --pull',
    '',
  ].join('\n');
}

function imageLines(
  { platform, state, oldBase, newBase, packages, notes }: PlatformRebase,
  several: boolean,
): string[] {
  const names = oldBase.name === newBase.name ? [newBase.name ?? ''] : [oldBase.name ?? '', newBase.name ?? ''];
  const [from, to] = names.map((name) => harmlessLine(familiarName(name)));
  const base = `${from} ${shownDigest(oldBase.digest)} → ${to === undefined ? '' : `${to} `}${shownDigest(newBase.digest)}`;
  return [
    `  ${several ? `${platform}: ` : ''}base ${base}${state === 'current' ? ' (was there already)' : ''}`,
    ...(packages.length === 0
      ? []
      : [`  packages: ${packageSummary(packages)}`, ...packageRows(packages).map((row) => `  ${row}`)]),
    ...notes.map(noteLine),
  ];
}

function noteLine(note: string): string {
  return `  note: ${harmlessLine(note)}`;
}
