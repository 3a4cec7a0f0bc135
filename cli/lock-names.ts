import type { PackagesQuestion, Question } from '../builder/index.ts';
import { formatReference, nearest, parseReference, ToolError, withDefaultTag } from '../core/index.ts';

const kinds = ['images', 'urls', 'git', 'packages', 'bootstraps'];

/**
 * Which questions are meant by names of the command line; all of them without any.
 * @throws ToolError USAGE_LOCK_NAME for a name that means none
 */
export function questionsNamed(
  names: readonly string[],
  questions: readonly (Question | PackagesQuestion)[],
): (question: Question | PackagesQuestion) => boolean {
  for (const name of names) {
    if (questions.some((question) => isMeant(name, question))) continue;
    const known = [...new Set(questions.flatMap(namesOf))].sort();
    const near = nearest(name, known);
    throw new ToolError('USAGE_LOCK_NAME', `this Buildfile asks for no ${JSON.stringify(name)}`, {
      hint: near === undefined ? `it asks for ${known.slice(0, 10).join(', ')}` : `did you mean ${near}?`,
    });
  }
  return (question) => names.length === 0 || names.some((name) => isMeant(name, question));
}

function isMeant(name: string, question: Question | PackagesQuestion): boolean {
  return (
    namesOf(question).includes(name) ||
    ('key' in question && question.kind === 'images' && fullName(name) === question.key)
  );
}

function namesOf(question: Question | PackagesQuestion): readonly string[] {
  if (!('kind' in question)) {
    return ['packages', ...question.step.packages.map((text) => text.split('=', 1)[0] ?? text)];
  }
  switch (question.kind) {
    case 'bootstraps': {
      const { distribution, suite } = question.source;
      return ['bootstraps', `${distribution}/${suite}`, `bootstrap:${distribution}/${suite}`, question.key];
    }
    case 'git':
      return ['git', question.key, question.url];
    default:
      return [question.kind, question.key];
  }
}

/** Undefined for what is no name of an image. */
function fullName(text: string): string | undefined {
  if (kinds.includes(text)) return undefined;
  try {
    return formatReference(withDefaultTag(parseReference(text)));
  } catch (error) {
    if (error instanceof ToolError && error.code === 'REFERENCE_INVALID') return undefined;
    throw error;
  }
}
