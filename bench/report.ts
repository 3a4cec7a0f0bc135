/** Milliseconds of every run: scenario → tool → runs. */
export type Measurements = ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>;

export interface Line {
  readonly scenario: string;
  readonly tool: string;
  readonly runs: number;
  readonly medianMs: number;
  readonly minimumMs: number;
  /** This tool's median over kiln's: above 1, kiln is faster. */
  readonly ratioToKiln: number | undefined;
}

export function summarize(measurements: Measurements): readonly Line[] {
  return [...measurements].flatMap(([scenario, tools]) => {
    const kiln = median(tools.get('kiln') ?? []);
    return [...tools]
      .filter(([, times]) => times.length > 0)
      .map(([tool, times]) => ({
        scenario,
        tool,
        runs: times.length,
        medianMs: Math.round(median(times)),
        minimumMs: Math.round(Math.min(...times)),
        ratioToKiln: kiln > 0 ? Number((median(times) / kiln).toFixed(2)) : undefined,
      }));
  });
}

/** One row per scenario, one column per tool: `median ms (× kiln)`. */
export function table(lines: readonly Line[]): string {
  const tools = [...new Set(lines.map((line) => line.tool))];
  const rows = [...new Set(lines.map((line) => line.scenario))].map((scenario) => [
    scenario,
    ...tools.map((tool) => cell(lines.find((line) => line.scenario === scenario && line.tool === tool))),
  ]);
  const all = [['median ms (times kiln)', ...tools], ...rows];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? [];
  return all
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

function cell(line: Line | undefined): string {
  if (line === undefined) return '–';
  const ratio = line.tool === 'kiln' || line.ratioToKiln === undefined ? '' : ` (${line.ratioToKiln}×)`;
  return `${line.medianMs}${ratio}`;
}
