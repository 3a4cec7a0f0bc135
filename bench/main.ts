// npm run bench -- [--json] [--runs N] [--only kiln,docker]
// The five things a user waits for, with every installed tool in turn, so that a busy moment hits all alike.
import { cpus, release } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { findProgram } from '../test/requirements.ts';
import { writeBaseProject, writeProject } from './project.ts';
import { type Line, summarize, table } from './report.ts';
import { timed } from './shell.ts';
import type { Command, Tool } from './tool.ts';
import { openTool, type ToolName, toolNames } from './tools.ts';
import { openRegistry, openWorkspace, type Registry, type Workspace } from './workspace.ts';

interface Settings {
  readonly runs: number;
  readonly tools: readonly ToolName[];
  readonly json: boolean;
}

/** What is timed, in order; `undefined` where a tool cannot. Whatever must come before it is not timed. */
type Scenario = (tool: Tool, context: string, target: Registry) => Promise<Command | readonly Command[] | undefined>;

const imageOf = (tool: Tool, registry: Registry): string => `${registry.host}/${tool.name}:1`;

const scenarios: Readonly<Record<string, Scenario>> = {
  'build, 10 steps, cold': async (tool, context, target) =>
    tool.build(context, imageOf(tool, target), { cache: false }),
  'build, nothing changed': async (tool, context, target) => {
    // Not every tool fills its cache in a build without cache.
    await timed(tool.build(context, imageOf(tool, target), { cache: true }));
    return tool.build(context, imageOf(tool, target), { cache: true });
  },
  push: async (tool, _, target) => {
    target.empty();
    return tool.push(imageOf(tool, target));
  },
  'run /bin/true': async (tool, _, target) => tool.runTrue(imageOf(tool, target)),
  'pull, and first run': async (tool, _, target) => {
    target.empty();
    await timed(tool.push(imageOf(tool, target)));
    return tool.pullAndRun(imageOf(tool, target));
  },
};

await main(readSettings());

async function main(settings: Settings): Promise<void> {
  await using workspace = await openWorkspace();
  await using bases = await openRegistry(path.join(workspace.folder, 'bases'));
  await using target = await openRegistry(path.join(workspace.folder, 'target'));
  const base = await pushBase(workspace, bases);
  const context = path.join(workspace.folder, 'context');
  writeProject(context, base);
  await using tools = await openTools(settings, workspace);
  const measurements = new Map<string, Map<string, number[]>>();
  for (const [name, scenario] of Object.entries(scenarios)) {
    const times = new Map(tools.list.map((tool) => [tool.name, [] as number[]]));
    measurements.set(name, times);
    // The first run of each fetches the base and fills caches, and is not counted.
    for (let run = -1; run < settings.runs; run++) {
      for (const tool of rotated(tools.list, run + 1)) {
        const command = await scenario(tool, context, target);
        if (command === undefined) continue;
        let tookMs = 0;
        for (const each of [command].flat()) tookMs += await timed(each);
        if (run >= 0) times.get(tool.name)?.push(tookMs);
      }
    }
    console.error(`${name}: done`);
  }
  print(summarize(measurements), tools.list, workspace, settings);
}

async function openTools(
  settings: Settings,
  workspace: Workspace,
): Promise<AsyncDisposable & { readonly list: readonly Tool[] }> {
  await using stack = new AsyncDisposableStack();
  const list: Tool[] = [];
  for (const name of settings.tools) {
    const tool = await openTool(name, path.join(workspace.folder, name));
    if (tool === undefined) console.error(`${name} is not installed, or cannot run here: left out`);
    else list.push(stack.use(tool));
  }
  const all = stack.move();
  return { list, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** The base image that every tool starts from, made by kiln. */
async function pushBase(workspace: Workspace, registry: Registry): Promise<string> {
  const busybox = findProgram('busybox');
  if (busybox === undefined) throw new Error('busybox is missing (Debian: apt-get install busybox-static)');
  const folder = path.join(workspace.folder, 'base');
  const image = `${registry.host}/base:1`;
  writeBaseProject(folder, busybox);
  const kiln = await openTool('kiln', path.join(workspace.folder, 'base-builder'));
  if (kiln === undefined) throw new Error('kiln is not built: npm run build');
  await timed(kiln.build(folder, image, { cache: true }));
  await timed(kiln.push(image));
  return image;
}

function print(lines: readonly Line[], tools: readonly Tool[], { fileSystem }: Workspace, settings: Settings): void {
  const [processor] = cpus();
  const machine = `${cpus().length} × ${processor?.model.trim()}, Linux ${release()}, file system: ${fileSystem}`;
  const versions = tools.map(({ name, version }) => `${name}: ${version}`);
  if (settings.json) console.log(JSON.stringify({ machine, versions, lines }, undefined, 2));
  else console.log([table(lines), '', `medians of ${settings.runs} runs`, machine, ...versions].join('\n'));
}

function rotated<T>(items: readonly T[], by: number): readonly T[] {
  const at = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

function readSettings(): Settings {
  const { values } = parseArgs({
    options: { json: { type: 'boolean' }, runs: { type: 'string' }, only: { type: 'string' } },
  });
  const runs = Number(values.runs ?? 5);
  const asked = values.only?.split(',') ?? toolNames;
  const tools = toolNames.filter((name) => asked.includes(name));
  if (!Number.isSafeInteger(runs) || runs < 1 || tools.length !== asked.length) {
    console.error(`usage: npm run bench -- [--json] [--runs N] [--only ${toolNames.join(',')}]`);
    process.exit(2);
  }
  return { runs, tools, json: values.json ?? false };
}
