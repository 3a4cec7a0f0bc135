import type { BuildEvent, OnBuildEvent } from '../events.ts';

/**
 * Lets several builds tell one listener: each call gives the listener of one build, whose vertices are told apart from
 * those of the others. Results are kept back: these builds are means, not ends.
 */
export function numberedEvents(onEvent: OnBuildEvent): () => OnBuildEvent {
  let lastId = 0;
  return () => {
    const ids = new Map<number, number>();
    return (event: BuildEvent) => {
      if (event.type === 'result') return;
      if (!('vertex' in event)) return onEvent(event);
      const id = ids.get(event.vertex.id) ?? ++lastId;
      ids.set(event.vertex.id, id);
      onEvent({ ...event, vertex: { ...event.vertex, id } });
    };
  };
}
