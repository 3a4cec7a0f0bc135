import { type Descriptor, layerCompression, shortDigest, unreachable } from '../../core/index.ts';
import type { CopyEvent } from '../../registry/index.ts';
import type { Context } from '../context.ts';
import { formatSize } from '../size.ts';
import { harmlessLine } from '../terminal-text.ts';
import { LiveRegion } from './live-region.ts';

const words = {
  push: { under: 'Pushing', done: 'Pushed', there: 'Layer already exists' },
  copy: { under: 'Copying', done: 'Copied', there: 'Already exists' },
  pull: { under: 'Downloading', done: 'Pull complete', there: 'Already exists' },
} as const;

/** Layers on their way to or from a registry, in Docker's words, on stderr. */
export class CopyProgress implements Disposable {
  readonly #words: (typeof words)[keyof typeof words];
  readonly #say: (line: string) => void;
  readonly #region: LiveRegion | undefined;
  readonly #moving = new Map<string, { readonly descriptor: Descriptor; bytes: number }>();
  readonly #quiet: boolean;

  constructor(
    direction: keyof typeof words,
    { terminal, clock }: Pick<Context, 'terminal' | 'clock'>,
    options: { readonly quiet?: boolean } = {},
  ) {
    this.#words = words[direction];
    this.#quiet = options.quiet ?? false;
    const region = terminal.animates && !this.#quiet ? new LiveRegion(terminal, clock, () => this.#lines()) : undefined;
    this.#region = region;
    this.#say = region === undefined ? (line) => terminal.say(line) : (line) => region.keep(line);
  }

  readonly onEvent = (event: CopyEvent): void => {
    const { descriptor } = event;
    if (this.#quiet || layerCompression(descriptor.mediaType) === undefined) return;
    switch (event.type) {
      case 'start':
        this.#moving.set(descriptor.digest, { descriptor, bytes: 0 });
        break;
      case 'progress':
        this.#moving.set(descriptor.digest, { descriptor, bytes: event.bytes });
        break;
      case 'skip':
        this.#end(descriptor, this.#words.there);
        break;
      case 'mount':
        this.#end(descriptor, 'Mounted from another repository');
        break;
      case 'done':
        this.#end(descriptor, this.#words.done);
        break;
      default:
        throw unreachable(event);
    }
    this.#region?.draw();
  };

  /** A line of its own, above what moves. */
  note(text: string): void {
    if (!this.#quiet) this.#say(harmlessLine(text));
  }

  [Symbol.dispose](): void {
    this.#region?.[Symbol.dispose]();
  }

  #end(descriptor: Descriptor, state: string): void {
    this.#moving.delete(descriptor.digest);
    this.#say(`${shortDigest(descriptor.digest)}: ${state}`);
  }

  #lines(): string[] {
    return Array.from(
      this.#moving.values(),
      ({ descriptor, bytes }) =>
        `${shortDigest(descriptor.digest)}: ${this.#words.under} ${formatSize(bytes)}/${formatSize(descriptor.size)}`,
    );
  }
}
