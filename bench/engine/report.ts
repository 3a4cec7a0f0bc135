import { median } from '../report.ts';
import type { Usage } from './usage.ts';

export interface Sample extends Usage {
  readonly workload: string;
  readonly tool: string;
}

export interface EngineLine {
  readonly workload: string;
  readonly tool: string;
  readonly runs: number;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakMb: number;
}

export interface EngineReport {
  readonly tools: readonly string[];
  readonly lines: readonly EngineLine[];
  /** Kiln's medians over those of the fastest peer: below 1, kiln is faster. */
  readonly ratios: Readonly<Record<string, { readonly wall: number; readonly cpu: number }>>;
  readonly text: string;
}

export function engineReport(samples: readonly Sample[], tools: readonly string[]): EngineReport {
  const lines: EngineLine[] = [];
  const ratios: Record<string, { wall: number; cpu: number }> = {};
  for (const [workload, of] of Map.groupBy(samples, (sample) => sample.workload)) {
    const own = [...Map.groupBy(of, (sample) => sample.tool)].map(([tool, list]) => ({
      workload,
      tool,
      runs: list.length,
      wallMs: Math.round(median(list.map(({ wallMs }) => wallMs))),
      cpuMs: Math.round(median(list.map(({ cpuMs }) => cpuMs))),
      peakMb: Math.round(Math.max(...list.map(({ peakBytes }) => peakBytes)) / 1e6),
    }));
    lines.push(...own);
    const kiln = own.find(({ tool }) => tool === 'kiln');
    const peers = own.filter(({ tool }) => tool !== 'kiln');
    if (kiln === undefined || peers.length === 0) continue;
    const ratio = (value: number, best: number) => Number((value / best).toFixed(2));
    ratios[workload] = {
      wall: ratio(kiln.wallMs, Math.min(...peers.map(({ wallMs }) => wallMs))),
      cpu: ratio(kiln.cpuMs, Math.min(...peers.map(({ cpuMs }) => cpuMs))),
    };
  }
  return { tools, lines, ratios, text: textOf(lines, ratios, tools) };
}

function textOf(lines: readonly EngineLine[], ratios: EngineReport['ratios'], tools: readonly string[]): string {
  const rows = lines.map(({ workload, tool, wallMs, cpuMs, peakMb }) => {
    const ratio = tool === 'kiln' ? ratios[workload] : undefined;
    const shown = ratio === undefined ? '' : `${ratio.wall}× wall, ${ratio.cpu}× CPU of the fastest peer`;
    return [workload, tool, `${wallMs} ms`, `${cpuMs} ms`, `${peakMb} MB`, shown];
  });
  const all = [['workload', 'tool', 'wall', 'CPU', 'peak', ''], ...rows];
  const widths = [0, 1, 2, 3, 4, 5].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const table = all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [...table, '', ...tools].join('\n');
}
