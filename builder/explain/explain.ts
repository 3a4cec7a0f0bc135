import type { CallOptions } from '../../core/index.ts';
import { type RememberedTrace, readTraces, type TracedStep } from '../engine/build-trace.ts';
import { bindInput } from '../mounts/mounts-in-key.ts';
import type { RecordStore } from '../workshop/record-store.ts';
import { cacheKeyOf, type Preimage, StepCache } from '../workshop/step-cache.ts';
import { compareListings } from './compare-listings.ts';
import { comparePreimages, type InputChange } from './compare-preimages.ts';

/** Why a step of the last build was carried out, or was not. */
export interface ExplainedStep {
  readonly stage: string;
  readonly platform: string;
  readonly title: string;
  readonly line: number;
  readonly outcome: 'hit' | 'miss' | 'failed';
  readonly durationMs: number;
  readonly reason: StepReason;
}

export type StepReason =
  /** All inputs are those of an earlier result. */
  | { readonly kind: 'unchanged' }
  /** Inputs that differ from those of the nearest earlier result. */
  | { readonly kind: 'changed'; readonly changes: readonly InputChange[] }
  /** Nothing like it was ever built here. */
  | { readonly kind: 'first' }
  /** `--no-cache`. */
  | { readonly kind: 'forced' }
  /** The inputs are the same, but there was no result: removed since, or the step had failed. */
  | { readonly kind: 'no-result' };

export interface ExplainedBuild {
  /** When it was, milliseconds since the epoch. */
  readonly atMs: number;
  readonly steps: readonly ExplainedStep[];
}

/** Whether an input's digest stands for a listing of files that is on record. */
function isListed(input: string): boolean {
  return input === 'files' || input.startsWith(bindInput);
}

/** Explains the last build that is remembered under a name (`traceName`); undefined when there is none. */
export async function explainBuild(
  records: RecordStore,
  name: string,
  options: CallOptions = {},
): Promise<ExplainedBuild | undefined> {
  const traces = await readTraces(records, name);
  if (traces === undefined) return undefined;
  const explainer = new Explainer(records, traces.last, traces.before);
  const steps: ExplainedStep[] = [];
  for (const step of traces.last.steps) {
    options.signal?.throwIfAborted();
    const { stage, platform, title, line, durationMs } = step;
    const outcome = step.unfinished === undefined ? (step.cached ? 'hit' : 'miss') : 'failed';
    steps.push({ stage, platform, title, line, durationMs, outcome, reason: await explainer.reasonOf(step) });
  }
  return { atMs: traces.last.atMs, steps };
}

class Explainer {
  readonly #records: RecordStore;
  readonly #cache: StepCache;
  readonly #last: RememberedTrace;
  readonly #before: RememberedTrace | undefined;

  constructor(records: RecordStore, last: RememberedTrace, before: RememberedTrace | undefined) {
    this.#records = records;
    this.#cache = new StepCache(records);
    this.#last = last;
    this.#before = before;
  }

  async reasonOf(step: TracedStep): Promise<StepReason> {
    if (step.cached) return { kind: 'unchanged' };
    if (step.forced) return { kind: 'forced' };
    const now = step.unfinished ?? (await this.#cache.preimageOf(step.key));
    const earlier = this.#sameStepBefore(step);
    if (earlier?.key === step.key) return { kind: 'no-result' };
    // What other projects built is no measure for a project's first build.
    if (this.#before === undefined) return { kind: 'first' };
    const was =
      (earlier && (earlier.unfinished ?? (await this.#cache.preimageOf(earlier.key)))) ??
      (now && (await this.#nearest(now)));
    if (now === undefined || was === undefined) return { kind: 'first' };
    return { kind: 'changed', changes: await this.#changes(was, now, step) };
  }

  /** The step of the build before that this one most likely is: by its words, else by its place. */
  #sameStepBefore(step: TracedStep): TracedStep | undefined {
    const same = (this.#before?.steps ?? []).filter(
      ({ stage, platform }) => stage === step.stage && platform === step.platform,
    );
    return (
      same.find(({ title }) => title === step.title) ??
      same.find(({ title }) => placeOf(title) === placeOf(step.title) && verbOf(title) === verbOf(step.title))
    );
  }

  /** Of all steps of earlier builds the one with the most equal inputs, if any has the same verb and half of them. */
  async #nearest(now: Preimage): Promise<Preimage | undefined> {
    const wanted = new Map(now.map(([name, value]) => [name, JSON.stringify(value)]));
    let best: { readonly preimage: Preimage; readonly equal: number } | undefined;
    const ownKeys = new Set<string>(this.#last.steps.map(({ key }) => key));
    for await (const preimage of this.#cache.preimages()) {
      if (ownKeys.has(cacheKeyOf(preimage))) continue;
      const equal = preimage.filter(([name, value]) => wanted.get(name) === JSON.stringify(value)).length;
      const verb = JSON.stringify(new Map(preimage).get('verb'));
      if (verb !== wanted.get('verb')) continue;
      if (equal * 2 >= now.length && equal > (best?.equal ?? 0)) best = { preimage, equal };
    }
    return best?.preimage;
  }

  async #changes(before: Preimage, after: Preimage, step: TracedStep): Promise<InputChange[]> {
    const changes: InputChange[] = [];
    for (const change of comparePreimages(before, after)) {
      if (isListed(change.input)) changes.push(...(await this.#fileChanges(change)));
      else if (change.input === 'parent') changes.push(this.#parentChange(change, step));
      else changes.push(change);
    }
    return changes;
  }

  async #fileChanges(change: InputChange): Promise<InputChange[]> {
    const [before, after] = [await this.#listing(change.before), await this.#listing(change.after)];
    if (before === undefined || after === undefined) return [change];
    const changes = compareListings(change.input, before, after);
    return changes.length === 0 ? [change] : changes;
  }

  async #listing(digest: string | undefined): Promise<readonly string[] | undefined> {
    const lines = digest === undefined ? undefined : await this.#records.read('listings-v1', digest);
    if (typeof lines === 'string') return lines.split('\n');
    return Array.isArray(lines) ? lines.map(String) : undefined;
  }

  /** A root file system is other because the step before it gave another result, or because the base moved. */
  #parentChange(change: InputChange, step: TracedStep): InputChange {
    const [was, is] = [baseOf(this.#before, step), baseOf(this.#last, step)];
    if (was !== undefined && is !== undefined && was.digest !== is.digest) {
      return { input: 'base', part: is.name, before: was.digest, after: is.digest };
    }
    return change;
  }
}

function baseOf(trace: RememberedTrace | undefined, { stage, platform }: TracedStep) {
  return trace?.bases.find((traced) => traced.stage === stage && traced.platform === platform)?.base;
}

/** `[app 2/5] COPY . /app` → `2`. */
function placeOf(title: string): string | undefined {
  return /^\[[^\]]*?(\d+)\/\d+\]/.exec(title)?.[1];
}

function verbOf(title: string): string | undefined {
  return /^\[[^\]]*\] (\S+)/.exec(title)?.[1];
}
