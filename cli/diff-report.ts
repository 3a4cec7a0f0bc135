import type {
  ConfigChange,
  FileChange,
  FileFacts,
  ImageDiff,
  LayerChanges,
  LayerFacts,
  PackageChange,
  SideFacts,
} from '../builder/index.ts';
import { isDigest, shortDigest } from '../core/index.ts';
import { familiarName } from './image-names.ts';
import { formatSize } from './size.ts';
import { columnsOf, fitTo, harmlessLine } from './terminal-text.ts';

export interface NamedDiff extends ImageDiff {
  readonly before: SideFacts & { readonly name: string };
  readonly after: SideFacts & { readonly name: string };
}

const shownFiles = 40;
const shownColumns = 160;

/** A diff as a release note: packages, configuration, layers, files. Without a line break at its end. */
export function diffText(
  diff: NamedDiff,
  { allFiles, times }: { readonly allFiles: boolean; readonly times: boolean },
): string {
  const { before, after, packages, config, layers, files, notes } = diff;
  const [was, is] = [before.name, after.name].map(shownName);
  const remarks = notes.map((note) => `note: ${harmlessLine(note)}`);
  if (diff.equal) {
    const what = sectionWords(diff);
    const same = before.digest === after.digest ? 'the same image' : `equal${what}`;
    return [`${was} and ${is} are ${same} (sha256:${shortDigest(after.digest)})`, ...remarks].join('\n');
  }
  const head = [`${was} → ${is} (${platforms(before, after)})`, `  ${sideText(before)} → ${sideText(after)}`];
  const sections = [
    ...(packages === undefined ? [] : packageLines(packages)),
    ...(config === undefined ? [] : configLines(config.filter((change) => !isToldElsewhere(change, layers)))),
    ...(layers === undefined ? [] : layerLines(layers.shared, layers.removed, layers.added)),
    ...(files === undefined ? [] : fileLines(files, allFiles ? files.length : shownFiles, times)),
  ];
  const unread =
    files !== undefined && files.length > 0 && !diff.sharedLayersRead
      ? [
          'note: layers that both have were not downloaded: what is added here may replace what they have (--deep reads them)',
        ]
      : [];
  return [...head, ...sections, ...(unread.length + remarks.length > 0 ? ['', ...unread, ...remarks] : [])].join('\n');
}

/** `libc6   2.36-9 → 2.36-9+deb12u9`, aligned; for other verbs too. */
export function packageRows(packages: readonly PackageChange[]): string[] {
  return aligned(packages.map(({ name, from, to }) => [harmlessLine(name), harmlessLine(moveText(from, to))]));
}

/** `3 changed, 1 added` */
export function packageSummary(packages: readonly PackageChange[]): string {
  return counted({
    changed: packages.filter(({ from, to }) => from !== undefined && to !== undefined).length,
    added: packages.filter(({ from }) => from === undefined).length,
    removed: packages.filter(({ to }) => to === undefined).length,
  });
}

function moveText(from: string | undefined, to: string | undefined): string {
  if (from !== undefined && to !== undefined) return `${from} → ${to}`;
  return from === undefined ? `added ${to ?? ''}` : `removed ${from}`;
}

function packageLines(packages: readonly PackageChange[]): string[] {
  if (packages.length === 0) return [];
  return ['', `Packages: ${packageSummary(packages)}`, ...packageRows(packages)];
}

function configLines(changes: readonly ConfigChange[]): string[] {
  if (changes.length === 0) return [];
  const rows = changes.map(({ field, key, before, after }) => [
    harmlessLine(key === undefined ? field : `${field} ${key}`),
    harmlessLine(configMove(before, after)),
  ]);
  return ['', 'Configuration', ...aligned(rows).map((line) => fitTo(line, shownColumns))];
}

/** What a step left shows among the layers, and Kiln's own annotations repeat what base and layers say. */
function isToldElsewhere({ field, key, before, after }: ConfigChange, layers: LayerChanges | undefined): boolean {
  if (field === 'annotation') return key?.startsWith('kiln.') === true;
  const told = [...(layers?.removed ?? []), ...(layers?.added ?? [])];
  return field === 'history' && told.some(({ step }) => step !== undefined && step === (after ?? before));
}

function configMove(before: unknown, after: unknown): string {
  if (before === undefined) return `added ${valueText(after)}`;
  return after === undefined ? `removed ${valueText(before)}` : `${valueText(before)} → ${valueText(after)}`;
}

function valueText(value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : JSON.stringify(value);
}

function layerLines(
  shared: readonly LayerFacts[],
  removed: readonly LayerFacts[],
  added: readonly LayerFacts[],
): string[] {
  if (removed.length + added.length === 0) return [];
  const sum = (layers: readonly LayerFacts[]) => formatSize(layers.reduce((total, { size }) => total + size, 0));
  const row = (mark: string, { size, digest, step = '' }: LayerFacts) =>
    fitTo(
      `  ${mark} ${formatSize(size).padStart(7)}  sha256:${shortDigest(digest)}  ${harmlessLine(step)}`.trimEnd(),
      shownColumns,
    );
  const counts = [
    ...(shared.length === 0 ? [] : [`${shared.length} shared (${sum(shared)})`]),
    ...(removed.length === 0 ? [] : [`${removed.length} removed (${sum(removed)})`]),
    ...(added.length === 0 ? [] : [`${added.length} added (${sum(added)})`]),
  ];
  return [
    '',
    `Layers: ${counts.join(', ')}`,
    ...removed.map((layer) => row('-', layer)),
    ...added.map((layer) => row('+', layer)),
  ];
}

function fileLines(files: readonly FileChange[], limit: number, times: boolean): string[] {
  if (files.length === 0) return [];
  const of = (change: FileChange['change']) => files.filter((file) => file.change === change).length;
  const more = files.length - limit;
  return [
    '',
    `Files: ${counted({ changed: of('changed'), added: of('added'), removed: of('removed') })}`,
    ...files.slice(0, limit).map((file) => `  ${marks[file.change]} ${harmlessLine(file.path)}${detail(file, times)}`),
    ...(more > 0 ? [`  … and ${more} more (--files lists all)`] : []),
  ];
}

const marks = { added: '+', removed: '-', changed: '~' } as const;

function detail({ change, before, after, attributes = [] }: FileChange, times: boolean): string {
  if (change !== 'changed') return sizeDetail(after ?? before);
  const shown = attributes.filter((name) => times || name !== 'mtime');
  return `  ${shown.map((name) => attributeText(name, before, after)).join(', ')}`;
}

function sizeDetail(facts: FileFacts | undefined): string {
  if (facts === undefined) return '';
  const { type, size, target, mode, uid, gid } = facts;
  const what = type === 'file' ? formatSize(size ?? 0) : type === 'symlink' ? `→ ${harmlessLine(target ?? '')}` : type;
  const owner = uid === 0 && gid === 0 ? '' : ` ${uid}:${gid}`;
  return `  ${type === 'symlink' ? '' : `${mode}${owner} `}${what}`;
}

function attributeText(name: string, before: FileFacts | undefined, after: FileFacts | undefined): string {
  if (name === 'content' || name.startsWith('xattr ')) return harmlessLine(name);
  if (name === 'size' && before?.size !== undefined && after?.size !== undefined) {
    const sizes = [before.size, after.size].map(formatSize);
    // Three digits may not tell them apart.
    return `size ${sizes[0] === sizes[1] ? `${before.size}B → ${after.size}B` : sizes.join(' → ')}`;
  }
  const [was, is] = [before, after].map((facts) =>
    String((facts as Readonly<Record<string, unknown>> | undefined)?.[name] ?? 'none'),
  );
  return `${name} ${harmlessLine(`${was} → ${is}`)}`;
}

/** A digest, where an image was named by it, is short enough to be read. */
function shownName(name: string): string {
  return isDigest(name) ? `sha256:${shortDigest(name)}` : harmlessLine(familiarName(name));
}

function platforms(before: SideFacts, after: SideFacts): string {
  return before.platform === after.platform ? after.platform : `${before.platform} → ${after.platform}`;
}

function sideText({ digest, size }: SideFacts): string {
  return `sha256:${shortDigest(digest)} ${formatSize(size)}`;
}

/** Which sections were compared, when not all were. */
function sectionWords(diff: ImageDiff): string {
  const names = (['packages', 'config', 'layers', 'files'] as const).filter((name) => diff[name] !== undefined);
  return names.length === 4 ? '' : ` in ${names.join(' and ')}`;
}

function counted(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).filter(([, count]) => count > 0);
  return parts.map(([name, count]) => `${count} ${name}`).join(', ');
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const width = Math.max(...rows.map(([first = '']) => columnsOf(first)));
  return rows.map(([first = '', second = '']) => `  ${first}${' '.repeat(width - columnsOf(first))}   ${second}`);
}
