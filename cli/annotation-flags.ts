import { ToolError } from '../core/index.ts';
import type { Context } from './context.ts';
import { assignment } from './environment-lines.ts';

/** What `--annotation` asks for, by where it goes. */
export interface AnnotationRequest {
  /** Everywhere. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly manifestAnnotations: Readonly<Record<string, string>>;
  readonly indexAnnotations: Readonly<Record<string, string>>;
}

/**
 * `--annotation [manifest:|index:|manifest,index:]KEY=VALUE`. Without a place it goes to the image and, where several
 * platforms make one, to the index over them.
 * @throws ToolError USAGE_ANNOTATION, USAGE_FLAG_VALUE
 */
export function annotationsOf(
  texts: readonly string[],
  { env }: Pick<Context, 'env'>,
  { platforms }: { readonly platforms: number },
): AnnotationRequest {
  const [annotations, manifestAnnotations, indexAnnotations] = [everywhere(), everywhere(), everywhere()];
  for (const text of texts) {
    const [, place, rest] = /^([a-z-]+(?:,[a-z-]+)*):([^=]+=.*)$/s.exec(text) ?? [];
    const places = place?.split(',') ?? [];
    const isPlace = places.length > 0 && places.every((name) => /^(?:manifest|index)(?:-descriptor)?$/.test(name));
    if (isPlace && places.some((name) => name.endsWith('-descriptor'))) {
      throw wrong(text, 'descriptors are not annotated', 'write manifest: or index:');
    }
    const pair = assignment(isPlace ? (rest ?? '') : text, '--annotation', env);
    if (pair === undefined) continue;
    const [key, value] = pair;
    if (/^(?:kiln\.|org\.opencontainers\.image\.base\.)/.test(key)) {
      throw wrong(text, `${key} is what Kiln itself says about the image`, 'choose another key');
    }
    if (isPlace && places.includes('index') && platforms < 2) {
      throw wrong(text, 'an image of one platform has no index', 'leave index: away, or name several --platform');
    }
    if (!isPlace || (places.includes('manifest') && places.includes('index'))) annotations[key] = value;
    else if (places.includes('manifest')) manifestAnnotations[key] = value;
    else indexAnnotations[key] = value;
  }
  return { annotations, manifestAnnotations, indexAnnotations };
}

function everywhere(): Record<string, string> {
  return {};
}

function wrong(text: string, problem: string, hint: string): ToolError {
  return new ToolError('USAGE_ANNOTATION', `--annotation ${JSON.stringify(text)}: ${problem}`, { hint });
}
