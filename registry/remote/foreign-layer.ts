import { sleep, ToolError } from '../../core/index.ts';
import type { ForeignLayerSource } from '../copy/foreign-layers.ts';
import { discard, HttpClient, type HttpResponse } from './http.ts';
import { openResumable } from './resumable.ts';
import { showUrl } from './shown.ts';

export interface ForeignFetchOptions {
  readonly userAgent?: string;
  /** HTTP_PROXY and its kin, in either case. */
  readonly proxies?: Readonly<Record<string, string>>;
  /** Told of each host before it is asked. */
  readonly onHost?: (host: string) => void;
}

/** Fetches foreign layers from where their publishers have them: by https, without credentials. */
export function openForeignLayers(options: ForeignFetchOptions = {}): ForeignLayerSource {
  const http = new HttpClient({
    userAgent: options.userAgent ?? 'kiln',
    ...(options.proxies === undefined ? {} : { proxies: options.proxies }),
  });
  const told = new Set<string>();
  return {
    async open(url, { size, from = 0, signal }) {
      if (url.protocol !== 'https:') throw refused(url, 'it is not https');
      if (!told.has(url.host)) options.onHost?.(url.host);
      told.add(url.host);
      return openResumable(
        async ({ headers, resumes }): Promise<HttpResponse> => {
          const response = await http.request({ method: 'GET', url, headers, resumes, signal });
          if (response.status === 200 || (response.status === 206 && 'Range' in headers)) return response;
          await discard(response);
          throw refused(url, `it answered ${response.status}`);
        },
        { from, size, signal, backoff: (failures) => sleep(http.backoffMs(failures), { signal }) },
      );
    },
  };
}

function refused(url: URL, why: string): ToolError {
  return new ToolError('LAYER_FOREIGN', `a foreign layer cannot be fetched from ${showUrl(url)}: ${why}`);
}
