import { expect, it } from 'vitest';
import { loopbackProxyPorts } from './loopback-proxies.ts';

it.each([
  [{}, []],
  [{ http_proxy: 'http://proxy.example.org:3128', NO_PROXY: 'localhost:99' }, []],
  [{ HTTP_PROXY: 'http://127.0.0.1:3128', https_proxy: 'http://user:word@localhost:3129/' }, [3128, 3129]],
  [{ HTTPS_PROXY: '127.0.0.1:8080', http_proxy: 'localhost:8080' }, [8080]],
  [{ ALL_PROXY: 'socks5h://[::1]:9050', ftp_proxy: 'http://127.1.2.3' }, [80, 9050]],
  [{ HTTP_PROXY: 'http://127.0.0.1:0', HTTPS_PROXY: 'http://127.0.0.1:99999', ALL_PROXY: '' }, []],
  [{ PROXY: 'http://127.0.0.1:5432', MY_HTTP_PROXY: 'http://127.0.0.1:5432' }, []],
])('finds the proxies that listen on loopback (%#)', (proxies: Record<string, string>, ports) => {
  expect(loopbackProxyPorts(proxies)).toEqual(ports);
});
