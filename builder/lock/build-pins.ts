import { ToolError } from '../../core/index.ts';
import { changed, emptyLock, type LockChange, type LockContent, pinKinds, samePin } from './lock-content.ts';
import { type Move, moveOf, moveText } from './moves.ts';
import type { PinKind, Pins, PinValues } from './pins.ts';

export interface BuildPinsOptions {
  /** Nothing may become other than it is. */
  readonly frozen?: boolean;
  /** What messages call the lock file. */
  readonly shownFile?: string;
}

/** The pins of one command: what a lock file said, and what was found out since. */
export class BuildPins implements Pins {
  #content: LockContent;
  readonly #changes = new Map<string, LockChange>();
  readonly #options: BuildPinsOptions;

  constructor(content: LockContent = emptyLock, options: BuildPinsOptions = {}) {
    this.#content = content;
    this.#options = options;
  }

  get frozen(): boolean {
    return this.#options.frozen === true;
  }

  get content(): LockContent {
    return this.#content;
  }

  /** What was kept and is not what the file said. */
  get changes(): readonly LockChange[] {
    return [...this.#changes.values()];
  }

  find<K extends PinKind>(kind: K, key: string): PinValues[K] | undefined {
    return this.#content[kind].get(key);
  }

  keep<K extends PinKind>(kind: K, key: string, value: PinValues[K]): void {
    const before = this.find(kind, key);
    if (before !== undefined && samePin(before, value)) return;
    // Kind and value go together, which a union cannot be told of a type parameter.
    const change = { kind, key, value } as unknown as LockChange;
    if (this.frozen) throw frozenError([moveOf(change, this.#content)], this.#options.shownFile);
    this.#content = changed(this.#content, [change]);
    this.#changes.set(`${kind} ${key}`, change);
  }
}

const maxShown = 30;

/** Names every entry that would become another one. */
export function frozenError(moves: readonly Move[], shownFile = 'Buildfile.lock'): ToolError {
  const lines = [...moves]
    .sort((a, b) => pinKinds.indexOf(a.kind) - pinKinds.indexOf(b.kind) || (a.key < b.key ? -1 : 1))
    .map((move) => `  ${moveText(move)}`);
  const more = lines.length > maxShown ? [`  … (${lines.length - maxShown} more)`] : [];
  return new ToolError(
    'LOCK_FROZEN',
    [`${shownFile} is frozen, and this build would change it:`, ...lines.slice(0, maxShown), ...more].join('\n'),
    { hint: 'run kiln update and commit the lock file, or build with --frozen=false' },
  );
}
