import { describe, expect, it } from 'vitest';
import { proxyFor } from './proxy.ts';

function proxyOf(url: string, variables: Record<string, string>): string | undefined {
  return proxyFor(new URL(url), variables)?.host;
}

describe('proxyFor', () => {
  it.each<[string, Record<string, string>, string | undefined]>([
    ['http://a.example/', {}, undefined],
    ['http://a.example/', { HTTP_PROXY: 'http://p:1' }, 'p:1'],
    ['http://a.example/', { HTTPS_PROXY: 'http://p:1' }, undefined],
    ['https://a.example/', { HTTPS_PROXY: 'http://p:1', HTTP_PROXY: 'http://q:1' }, 'p:1'],
    ['https://a.example/', { HTTPS_PROXY: 'http://upper:1', https_proxy: 'http://lower:1' }, 'lower:1'],
    ['https://a.example/', { all_proxy: 'p:1' }, 'p:1'],
    ['https://a.example/', { ALL_PROXY: 'http://all:1', HTTPS_PROXY: 'http://p:1' }, 'p:1'],
    ['https://a.example/', { HTTPS_PROXY: '', ALL_PROXY: 'http://all:1' }, 'all:1'],
    ['http://127.0.0.1:5000/', { HTTP_PROXY: 'http://p:1' }, undefined],
    ['http://localhost/', { HTTP_PROXY: 'http://p:1' }, undefined],
    ['http://[::1]:5000/', { HTTP_PROXY: 'http://p:1' }, undefined],
  ])('asks for %s with %j through %s', (url, variables, proxy) => {
    expect(proxyOf(url, variables)).toBe(proxy);
  });

  it.each([
    ['a.example', 'https://a.example/'],
    ['example', 'https://a.example/'],
    ['.example', 'https://a.example/'],
    ['*.example', 'https://a.example/'],
    ['x, A.Example', 'https://a.example/'],
    ['*', 'https://a.example/'],
    ['a.example:443', 'https://a.example/'],
    ['a.example:5000', 'https://a.example:5000/'],
    ['10.1.2.3', 'http://10.1.2.3/'],
    ['10.0.0.0/8', 'http://10.1.2.3/'],
    ['fd00::/8', 'http://[fd00::1]:5000/'],
    ['[fd00::1]:5000', 'http://[fd00::1]:5000/'],
    ['fd00::1', 'http://[fd00::1]:5000/'],
  ])('takes the exception %s to hold for %s', (exception, url) => {
    const variables = { ALL_PROXY: 'http://p:1', NO_PROXY: exception };

    expect(proxyOf(url, variables)).toBeUndefined();
  });

  it.each([
    ['a.example:444', 'https://a.example/'],
    ['ample', 'https://a.example/'],
    ['a.example', 'https://example/'],
    ['10.0.0.0/33', 'http://10.1.2.3/'],
    ['10.0.0.0/16', 'http://10.1.2.3/'],
    ['fd00::/8', 'http://10.1.2.3/'],
    ['', 'https://a.example/'],
    ['.', 'https://a.example/'],
  ])('does not take the exception %j to hold for %s', (exception, url) => {
    expect(proxyOf(url, { ALL_PROXY: 'http://p:1', no_proxy: exception })).toBe('p:1');
  });

  it('passes over a SOCKS proxy for everything, as the peers do', () => {
    expect(proxyFor(new URL('https://a.example/'), { ALL_PROXY: 'socks5h://p:1080' })).toBeUndefined();
    expect(proxyFor(new URL('https://a.example/'), { ALL_PROXY: 'http://p:1' })?.href).toBe('http://p:1/');
  });

  it.each(['socks5://user:secret@p:1', 'http://', 'http://user:secret@'])(
    'refuses %s without repeating it',
    (value) => {
      const asking = () => proxyOf('https://a.example/', { HTTPS_PROXY: value });

      expect(asking).toThrow(expect.objectContaining({ code: 'PROXY_INVALID' }));
      expect(asking).not.toThrow('secret');
    },
  );
});
