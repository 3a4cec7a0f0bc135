// npm run bench:engine -- [--json] [--runs N] [--only kiln,docker] [--workload NAME,…]
// What the build engine costs, beside the peers': wall time, processor time of client and daemon, peak memory.
import { parseArgs } from 'node:util';
import { engineReport, type Sample } from './engine/report.ts';
import { openEngineTools } from './engine/tools.ts';
import { type Workload, workloads } from './engine/workloads.ts';
import { openRegistry, openWorkspace } from './workspace.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    runs: { type: 'string' },
    only: { type: 'string' },
    workload: { type: 'string' },
  },
});
const runs = Number(values.runs ?? 3);
const asked = values.workload?.split(',');
const chosen = workloads.filter(({ id }) => asked === undefined || asked.includes(id));
if (!Number.isSafeInteger(runs) || runs < 1 || chosen.length !== (asked?.length ?? workloads.length)) {
  console.error(
    `usage: npm run bench:engine -- [--json] [--runs N] [--only TOOL,…] [--workload ${workloads.map(({ id }) => id).join(',')}]`,
  );
  process.exit(2);
}
await main();

async function main(): Promise<void> {
  await using workspace = await openWorkspace();
  await using registry = await openRegistry(`${workspace.folder}/bases`);
  await using tools = await openEngineTools(workspace, registry, values.only?.split(','));
  const samples: Sample[] = [];
  for (const workload of chosen) {
    console.error(`${workload.name}:`);
    samples.push(...(await measure(workload)));
  }
  const report = engineReport(
    samples,
    tools.list.map(({ name, version }) => `${name}: ${version}`),
  );
  console.log(values.json ? JSON.stringify(report, undefined, 2) : report.text);

  /** Tools take turns; the first round fills caches and is not counted. */
  async function measure({ name, prepare }: Workload): Promise<Sample[]> {
    const measured: Sample[] = [];
    const prepared = await prepare({ workspace, registry });
    for (let run = -1; run < runs; run++) {
      for (const tool of tools.list.toSorted(() => (run % 2 === 0 ? 0 : -1))) {
        const usage = await prepared(tool, run + 1);
        if (usage === undefined) continue;
        console.error(`  ${tool.name} ${Math.round(usage.wallMs)} ms, ${Math.round(usage.cpuMs)} ms CPU`);
        if (run >= 0) measured.push({ workload: name, tool: tool.name, ...usage });
      }
    }
    return measured;
  }
}
