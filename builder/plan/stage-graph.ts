import { quoted } from '../buildfile/problems.ts';
import type { Position } from './plan.ts';

/** That one stage needs another one, and where that is written. */
export interface StageDependency {
  readonly stage: string;
  readonly position: Position;
}

export type StageGraph = ReadonlyMap<string, readonly StageDependency[]>;

/** Stages that need each other in a circle. */
export interface StageCycle {
  /** Each needs the next; the last is the first again. */
  readonly path: readonly string[];
  /** Of the dependency that closes the circle. */
  readonly position: Position;
}

export interface StageOrder {
  /** All that the targets need and the targets themselves, each after what it needs. */
  readonly order: readonly string[];
  readonly cycles: readonly StageCycle[];
}

/** A circle in a message: `a` → `b` → `a`, a long one cut. */
export function shownCycle(path: readonly string[]): string {
  const shown = path.length > 20 ? [...path.slice(0, 10), undefined, ...path.slice(-10)] : path;
  return shown.map((name) => (name === undefined ? '…' : quoted(name))).join(' → ');
}

/** Circles that are told; a file may have as many as it has stages, each as long. */
const maxCycles = 10;

/** Depth-first, without recursion: a chain of stages may be as long as the file allows. */
export function orderStages(graph: StageGraph, targets: Iterable<string>): StageOrder {
  const done = new Set<string>();
  const cycles: StageCycle[] = [];
  for (const target of targets) visit(target);
  return { order: [...done], cycles };

  function visit(target: string): void {
    const open = new Map<string, Iterator<StageDependency>>();
    const path: string[] = [];
    enter(target);
    for (let current = path.at(-1); current !== undefined; current = path.at(-1)) {
      const next = open.get(current)?.next();
      if (next === undefined || next.done) {
        path.pop();
        open.delete(current);
        done.add(current);
      } else if (open.has(next.value.stage)) {
        if (cycles.length === maxCycles) continue;
        const start = path.indexOf(next.value.stage);
        cycles.push({ path: [...path.slice(start), next.value.stage], position: next.value.position });
      } else enter(next.value.stage);
    }

    function enter(stage: string): void {
      if (done.has(stage)) return;
      open.set(stage, (graph.get(stage) ?? []).values());
      path.push(stage);
    }
  }
}
