import type { BuildEvent } from '../../builder/index.ts';
import type { Progress } from './progress.ts';

/** Progress that can be ended early, to leave the terminal to somebody else: what is told after that is not shown. */
export class PausableProgress implements Progress {
  readonly #progress: Progress;
  #isOpen = true;

  constructor(progress: Progress) {
    this.#progress = progress;
  }

  readonly onEvent = (event: BuildEvent): void => {
    if (this.#isOpen) this.#progress.onEvent(event);
  };

  /** Any number of times. */
  close(): void {
    if (this.#isOpen) this.#progress.close();
    this.#isOpen = false;
  }
}
