import type { Clock } from '../../core/index.ts';
import type { Terminal } from '../terminal.ts';
import { BuildView } from './build-view.ts';
import { seconds } from './duration.ts';
import { LiveRegion } from './live-region.ts';
import type { Progress } from './progress.ts';

/** Progress on a terminal that can be drawn over. */
export function openTtyProgress(terminal: Pick<Terminal, 'err' | 'divert'>, clock: Clock): Progress {
  const startedAt = clock.now();
  const view = new BuildView(startedAt);
  const region = new LiveRegion(terminal, clock, (now, columns, rows) => view.lines(now, columns, rows));
  let outcome = 'STOPPED';
  let failed = false;
  return {
    onEvent(event) {
      region.keep(...view.take(event, clock.now(), terminal.err.columns ?? 80));
      if (event.type === 'error') failed = true;
      if (event.type === 'result') outcome = 'FINISHED';
      region.draw();
    },
    close() {
      const state = failed ? 'FAILED' : outcome;
      region.keep(`[+] Building ${seconds(clock.now() - startedAt)} ${state}`);
      region[Symbol.dispose]();
    },
  };
}
