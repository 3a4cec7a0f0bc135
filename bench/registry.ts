// npm run bench:registry -- [--json] [--runs N] [--only kiln,skopeo,buildah] [--workload NAME,…]
// What moving images costs, beside the peers': wall time, processor time of client and daemon, peak memory.
import { parseArgs } from 'node:util';
import { engineReport, type Sample } from './engine/report.ts';
import { type RegistryWorkload, workloads } from './registry/workloads.ts';
import { output } from './shell.ts';
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
const only = values.only?.split(',');
const asked = values.workload?.split(',');
const chosen = workloads.filter(({ id }) => asked === undefined || asked.includes(id));
if (!Number.isSafeInteger(runs) || runs < 1 || chosen.length !== (asked?.length ?? workloads.length)) {
  console.error(
    `usage: npm run bench:registry -- [--json] [--runs N] [--only TOOL,…] [--workload ${workloads.map(({ id }) => id).join(',')}]`,
  );
  process.exit(2);
}
await main();

async function main(): Promise<void> {
  await using workspace = await openWorkspace();
  await using registry = await openRegistry(`${workspace.folder}/registry`);
  const samples: Sample[] = [];
  for (const workload of chosen) {
    console.error(`${workload.name}:`);
    samples.push(...(await measure(workload)));
  }
  const report = engineReport(samples, await versions(new Set(chosen.flatMap(({ tools }) => tools))));
  console.log(values.json ? JSON.stringify(report, undefined, 2) : report.text);

  /** Tools take turns. */
  async function measure({ name, tools, prepare }: RegistryWorkload): Promise<Sample[]> {
    const measured: Sample[] = [];
    const prepared = await prepare({ workspace, registry });
    await using _prepared = prepared[Symbol.asyncDispose] === undefined ? undefined : (prepared as AsyncDisposable);
    const wanted = tools.filter((tool) => only === undefined || only.includes(tool));
    for (let run = 0; run < runs; run++) {
      for (const tool of run % 2 === 0 ? wanted : wanted.toReversed()) {
        const usage = await prepared.measure(tool);
        if (usage === undefined) continue;
        const size = usage.bytes === undefined ? '' : `, ${Math.round(usage.bytes / 1e6)} MB in the registry`;
        console.error(`  ${tool} ${Math.round(usage.wallMs)} ms, ${Math.round(usage.cpuMs)} ms CPU${size}`);
        measured.push({ workload: name, tool, ...usage });
      }
    }
    return measured;
  }
}

async function versions(tools: ReadonlySet<string>): Promise<string[]> {
  const programs = new Set([...tools].filter((tool) => tool !== 'kiln').flatMap((tool) => tool.split(' and ')));
  return Promise.all([...programs].map(async (name) => (await output(name, '--version'))?.split('\n')[0] ?? name));
}
