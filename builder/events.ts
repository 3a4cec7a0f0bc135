import type { Digest } from '../core/index.ts';
import type { Position } from './plan/plan.ts';

/** One line of progress: a base being made ready, a step, the assembly of the result. */
export interface Vertex {
  /** Unique within a build. */
  readonly id: number;
  /** Stage the vertex belongs to; undefined for work of the whole build. */
  readonly stage?: string;
  /** `[app 2/5] RUN npm ci`: what is shown. */
  readonly title: string;
  readonly position?: Position;
}

/** What a build tells while it runs. Handlers must not throw. */
export type BuildEvent =
  | { readonly type: 'start'; readonly vertex: Vertex }
  | { readonly type: 'output'; readonly vertex: Vertex; readonly stream: 'stdout' | 'stderr'; readonly bytes: Buffer }
  /** A sentence about what is being done, such as a download. */
  | { readonly type: 'status'; readonly vertex: Vertex; readonly text: string }
  | { readonly type: 'done'; readonly vertex: Vertex; readonly cached: boolean; readonly durationMs: number }
  | {
      readonly type: 'error';
      readonly vertex: Vertex;
      readonly error: unknown;
      /** Nothing is wrong with this one: it ended because another part of the build, whose error it is, failed. */
      readonly isCalledOff?: boolean;
      readonly durationMs: number;
    }
  | { readonly type: 'warning'; readonly text: string; readonly position?: Position }
  | { readonly type: 'result'; readonly digest: Digest; readonly names: readonly string[] };

export type OnBuildEvent = (event: BuildEvent) => void;
