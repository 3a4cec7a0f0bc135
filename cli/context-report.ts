import type { FolderReport } from '../builder/index.ts';
import { formatSize } from './size.ts';
import { formatTable } from './table.ts';

type Amount = FolderReport['copied'];
type PathAmount = FolderReport['largestFiles'][number];

/** What `--context-report` prints, after the build. */
export function formatContextReport(reports: readonly FolderReport[]): string {
  return reports.map(formatFolder).join('\n');
}

function formatFolder({ name, folder, copied, largestFiles, largestFolders, ignored, unused }: FolderReport): string {
  const parts = [
    `${name}: ${folder}\n`,
    formatTable(
      ['WHAT BECAME OF IT', 'FILES', 'SIZE'],
      [row('copied', copied), row('ignored', ignored), row('neither', unused)],
    ),
    section('LARGEST FILES COPIED', largestFiles),
    section('LARGEST FOLDERS COPIED', largestFolders),
    section(
      'IGNORED BY PATTERN',
      ignored.patterns.map(({ pattern, ...amount }) => ({ path: pattern, ...amount })),
    ),
    section('LARGEST IGNORED', ignored.largest),
    section('LARGEST NEITHER COPIED NOR IGNORED', unused.largest),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function section(heading: string, amounts: readonly PathAmount[]): string {
  if (amounts.length === 0) return '';
  return formatTable(
    [heading, 'FILES', 'SIZE'],
    amounts.map((amount) => row(amount.path, amount)),
  );
}

function row(what: string, { files, bytes }: Amount): readonly string[] {
  return [what, String(files), formatSize(bytes)];
}
