import { formatPlatform, mapConcurrent, ToolError } from '../../core/index.ts';
import type { BuildOptions } from '../engine/build-context.ts';
import { buildImages } from '../engine/build-images.ts';
import { VertexLog } from '../engine/vertex-log.ts';
import type { OnBuildEvent } from '../events.ts';
import { type ResolvedPackages, resolvePackages } from '../packages/resolve.ts';
import type { Plan } from '../plan/plan.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { askNetwork } from './ask-network.ts';
import { BuildPins } from './build-pins.ts';
import { changed, entriesOf, type LockChange, type LockContent } from './lock-content.ts';
import { type Move, movesBetween } from './moves.ts';
import { numberedEvents } from './numbered-events.ts';
import type { PinKind, Pins } from './pins.ts';
import { type PackagesQuestion, packagesQuestionsOf, planBefore, type Question, questionsOf } from './questions.ts';

export interface RefreshOptions extends Omit<BuildOptions, 'pins'> {
  /** What is locked. */
  readonly content: LockContent;
  /** Which questions are asked again; what is not locked yet is always asked. */
  readonly isWanted: (question: Question | PackagesQuestion) => boolean;
  /** Entries that no stage needs are dropped. */
  readonly prune: boolean;
  /** For other platforms, nothing of which is asked: entries that they need stay. */
  readonly otherPlans?: readonly Plan[];
}

/** What could not be asked; its entry stays as it is. */
export interface Trouble {
  readonly kind: PinKind;
  /** Of a package set: its stage and names. */
  readonly key: string;
  readonly error: ToolError;
}

/** What a lock file would say if everything were asked now, and how that differs from what it says. */
export interface Refreshed {
  readonly content: LockContent;
  readonly moves: readonly Move[];
  readonly troubles: readonly Trouble[];
}

/** Requests to registries and archives at a time. */
const concurrency = 4;

/**
 * Asks again, and takes the answers: package sets are resolved on what their stages will be with the new answers, for
 * which the steps before them are carried out unless they are cached.
 * @throws what the first question that fails throws
 */
export async function refreshLock(
  plans: readonly Plan[],
  workshop: Workshop,
  options: RefreshOptions,
): Promise<Refreshed> {
  const tools = toolsOf(workshop, options);
  const pins = new BuildPins(options.content);
  const questions = questionsOf(plans);
  const used = usedBy([...questions, ...questionsOf(options.otherPlans ?? [])]);
  const asked = questions.filter(
    (question) => !options.content[question.kind].has(question.key) || options.isWanted(question),
  );
  await mapConcurrent(asked, { concurrency, signal: options.signal }, async (question, { signal }) => {
    const answer = await ask(tools, question, { signal, remember: true });
    if (answer !== undefined) keep(pins, answer);
  });
  const asking = { ...options, pins };
  for (const question of packagesQuestionsOf(plans)) {
    const fresh = options.isWanted(question);
    const { key } = await resolve(tools, question, { stagePins: pins, asking, fresh });
    used.add(`packages ${key}`);
  }
  const content = options.prune ? pruned(pins.content, used, plans) : pins.content;
  return { content, moves: movesBetween(options.content, content), troubles: [] };
}

/**
 * Asks, and changes nothing: package sets are resolved on their stages as they are locked, which are cached where they
 * have been built before. What cannot be asked is told, and the rest goes on.
 */
export async function findOutdated(
  plans: readonly Plan[],
  workshop: Workshop,
  options: RefreshOptions,
): Promise<Refreshed> {
  const tools = toolsOf(workshop, options);
  // What is not locked yet is answered here as well, so that stages can be built on it.
  const stagePins = new BuildPins(options.content);
  const answers: LockChange[] = [];
  const troubles: Trouble[] = [];
  const questions = questionsOf(plans).filter(options.isWanted);
  const used = usedBy([...questions, ...questionsOf(options.otherPlans ?? [])]);
  await mapConcurrent(questions, { concurrency, signal: options.signal }, async (question, { signal }) => {
    try {
      const answer = await ask(tools, question, { signal, remember: false });
      if (answer === undefined) return;
      answers.push(answer);
      if (stagePins.find(answer.kind, answer.key) === undefined) keep(stagePins, answer);
    } catch (error) {
      troubles.push({ kind: question.kind, key: question.key, error: troubleOf(error, signal) });
    }
  });
  const asking = { ...options, pins: new BuildPins(options.content) };
  for (const question of packagesQuestionsOf(plans).filter(options.isWanted)) {
    try {
      const { key, packages } = await resolve(tools, question, { stagePins, asking, fresh: true });
      answers.push({ kind: 'packages', key, value: packages });
      used.add(`packages ${key}`);
    } catch (error) {
      const key = `${question.stage.name}: ${question.step.packages.join(' ')}`;
      troubles.push({ kind: 'packages', key, error: troubleOf(error, options.signal) });
    }
  }
  const content = changed(options.content, answers);
  // What nobody asks for any more is not behind, but what took its place may be.
  const now = options.prune ? pruned(content, used, plans) : content;
  const moves = movesBetween(options.content, now).filter(({ isUnused }) => isUnused !== true);
  return { content, moves, troubles };
}

interface Tools {
  readonly workshop: Workshop;
  readonly options: RefreshOptions;
  readonly log: VertexLog;
  /** Where the log tells. */
  readonly onEvent: OnBuildEvent;
  /** A listener for one more build. */
  readonly listener: () => OnBuildEvent;
}

function toolsOf(workshop: Workshop, options: RefreshOptions): Tools {
  const listener = numberedEvents(options.onEvent);
  const onEvent = listener();
  return { workshop, options, listener, onEvent, log: new VertexLog(workshop.options.clock, onEvent) };
}

/** Undefined for what no lock file has. */
async function ask(
  { workshop, options, log }: Tools,
  question: Question,
  asking: { readonly signal: AbortSignal; readonly remember: boolean },
): Promise<LockChange | undefined> {
  const { value } = await log.tell({ title: `ASK ${question.key}` }, async (_vertex, onStatus) => ({
    value: await askNetwork(workshop, question, { ...asking, build: options, onStatus }),
    cached: false,
  }));
  const { kind, key } = question;
  return value === undefined ? undefined : ({ kind, key, value } as LockChange);
}

interface ResolveOptions {
  /** Decide what the stage is. */
  readonly stagePins: Pins;
  /** Whose pins get the answer; the same for all questions, which are then asked of one state of the archive. */
  readonly asking: BuildOptions;
  /** Asks although there is a pin. */
  readonly fresh: boolean;
}

async function resolve(
  { workshop, options, log, onEvent, listener }: Tools,
  question: PackagesQuestion,
  { stagePins, asking, fresh }: ResolveOptions,
): Promise<ResolvedPackages> {
  const { signal } = options;
  const plan = planBefore(question);
  const { targets } = await buildImages({ plans: [plan], names: new Map() }, workshop, {
    ...options,
    pins: stagePins,
    labels: {},
    annotations: {},
    // It is no build of this Buildfile, and must not pass for the last one.
    buildfile: `${options.buildfile}.lock`,
    onEvent: listener(),
  });
  const layers = targets[0]?.images[0]?.end.layers ?? [];
  const { stage, step } = question;
  const title = `[${stage.name}] ASK ${step.packages.join(' ')}`;
  const context = { workshop, platform: plan.platform, options: asking };
  const { resolved } = await log.tell(
    { stage: stage.name, title, position: step.position },
    async (vertex, onStatus) => ({
      resolved: await resolvePackages(context, layers, step, {
        signal,
        fresh,
        onStatus,
        onOutput: (stream, bytes) => onEvent({ type: 'output', vertex, stream, bytes }),
      }),
      cached: false,
    }),
  );
  return resolved;
}

function usedBy(questions: readonly Question[]): Set<string> {
  return new Set(questions.map(({ kind, key }) => `${kind} ${key}`));
}

/** Without the entries that nothing asks for any more, except those for other platforms than were looked at. */
function pruned(content: LockContent, used: ReadonlySet<string>, plans: readonly Plan[]): LockContent {
  const platforms = new Set(plans.map(({ platform }) => formatPlatform(platform)));
  const unused = [...entriesOf(content)].filter(({ kind, key }) => {
    // The second word of the key of a set.
    const platform = kind === 'bootstraps' || kind === 'packages' ? key.split(' ')[1] : undefined;
    const isForeign = platform !== undefined && !platforms.has(platform);
    return !used.has(`${kind} ${key}`) && !isForeign;
  });
  return changed(
    content,
    unused.map(({ kind, key }) => ({ kind, key, value: undefined }) as LockChange),
  );
}

function keep(pins: BuildPins, { kind, key, value }: LockChange): void {
  // The answer is one to a question of that kind.
  if (value !== undefined) pins.keep(kind, key, value as never);
}

/** What goes wrong with one question is part of the answer; being called off and mistakes of Kiln are not. */
function troubleOf(error: unknown, signal: AbortSignal | undefined): ToolError {
  signal?.throwIfAborted();
  if (error instanceof ToolError) return error;
  throw error;
}
