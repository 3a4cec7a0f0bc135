import { formatReference, parseReference, withDefaultTag } from '../../../core/index.ts';
import { isCommit, parseFetchUrl } from '../../buildfile/fetch-url.ts';
import { quoted } from '../../buildfile/problems.ts';
import { gitPinKey } from '../../fetch/git-ref.ts';
import type { FetchSource } from '../../plan/plan.ts';
import { type Rule, valueBreach } from '../rule.ts';
import { allSteps, sourcesOfStage } from '../subject.ts';

export const unpinnedBase: Rule = {
  name: 'unpinned-base',
  severity: 'warning',
  what: 'An image without a tag, or with `latest`, that Buildfile.lock does not hold.',
  why: 'It is another image whenever somebody pushes one: the same Buildfile builds something else tomorrow.',
  *check({ stages, lock }) {
    for (const stage of stages.values()) {
      for (const { from, source, at } of sourcesOfStage(stage)) {
        // What --build-context put in its place was chosen for this build.
        if (source.kind !== 'image' || source.reference !== from || from.includes('${')) continue;
        const reference = withDefaultTag(parseReference(from));
        if (reference.digest !== undefined || reference.tag !== 'latest') continue;
        if (lock?.images.has(formatReference(reference))) continue;
        const message = `${quoted(from)} is whatever is the latest; name a version, or keep its digest in Buildfile.lock`;
        yield valueBreach(stage.file, at, message);
      }
    }
  },
};

export const unpinnedFetch: Rule = {
  name: 'unpinned-fetch',
  severity: 'warning',
  what: 'A `fetch` whose content neither a checksum, a commit nor Buildfile.lock holds.',
  why: 'Whoever controls the server, or the repository, decides what the next build gets.',
  *check(subject) {
    for (const { file, at, content } of allSteps(subject)) {
      const { fetch, checksum } = content;
      if (fetch === undefined || checksum !== undefined || fetch.includes('${')) continue;
      const source = parseFetchUrl(fetch);
      if (typeof source === 'string' || isHeld(source, subject.lock)) continue;
      const message = `nothing says what ${quoted(fetch)} has to bring; add a checksum, or commit the Buildfile.lock that kiln build writes`;
      yield valueBreach(file, [...at, 'fetch'], message);
    }
  },
};

export const httpFetch: Rule = {
  name: 'http-fetch',
  severity: 'note',
  what: 'A `fetch` over `http://`.',
  why: 'The checksum finds a changed file, but who is on the way sees what is asked for, and can break every build.',
  *check(subject) {
    for (const { file, at, content } of allSteps(subject)) {
      const host = /^http:\/\/([^/:]+|\[[^\]]*\])/.exec(content.fetch ?? '')?.[1];
      if (host === undefined || /^(?:localhost|127\.[\d.]+|\[::1\])$/.test(host)) continue;
      yield valueBreach(file, [...at, 'fetch'], `${quoted(host)} is asked over http; write https`);
    }
  },
};

function isHeld(source: FetchSource, lock: Parameters<Rule['check']>[0]['lock']): boolean {
  if (source.kind === 'http') return lock?.urls.has(source.url) === true;
  const { url, ref } = source;
  return (ref !== undefined && isCommit(ref)) || lock?.git.has(gitPinKey(url, ref)) === true;
}
