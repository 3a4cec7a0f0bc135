import path from 'node:path';
import { ToolError } from '../../core/index.ts';
import { configInvalid, folderExists, namesIn, readConfigFile } from './config-file.ts';
import type { TlsSettings } from './endpoint.ts';

/** Tells that the certificate and its key are not both there. */
const pairs = { '.cert': '.key', '.key': '.cert' } as const;

/**
 * The certificates in a folder, as Docker and containers-certs.d(5) lay them out: `*.crt` are authorities, `*.cert` with
 * the `*.key` of the same name is how we prove who we are. Of several pairs the first by name is used.
 * @returns undefined when there is no such folder
 * @throws ToolError REGISTRY_CONFIG_INVALID
 */
export async function readCertificates(folder: string): Promise<TlsSettings | undefined> {
  if (!(await folderExists(folder))) return undefined;
  const names = await namesIn(folder);
  const lonely = names.flatMap((name) => {
    const extension = path.extname(name);
    if (extension !== '.cert' && extension !== '.key') return [];
    const partner = `${path.basename(name, extension)}${pairs[extension]}`;
    const [has, lacks] = extension === '.cert' ? ['certificate', 'key'] : ['key', 'certificate'];
    return names.includes(partner) ? [] : [`the client ${has} ${name} has no ${lacks} ${partner} beside it`];
  });
  if (lonely.length > 0) throw configInvalid(folder, lonely);
  const authorities = names.filter((name) => name.endsWith('.crt'));
  const certificate = names.find((name) => name.endsWith('.cert'));
  return readTls(
    authorities.map((name) => path.join(folder, name)),
    certificate === undefined
      ? undefined
      : {
          certificate: path.join(folder, certificate),
          key: path.join(folder, `${path.basename(certificate, '.cert')}.key`),
        },
  );
}

/**
 * PEM out of files.
 * @throws ToolError REGISTRY_CONFIG_INVALID when one is missing or holds something else
 */
export async function readTls(
  authorities: readonly string[],
  client?: { readonly certificate: string; readonly key: string },
): Promise<TlsSettings> {
  const found = await Promise.all(authorities.map((file) => readPem(file, certificatePem, 'certificate')));
  return {
    ...(found.length === 0 ? {} : { authorities: found }),
    ...(client === undefined
      ? {}
      : {
          client: {
            certificate: await readPem(client.certificate, certificatePem, 'certificate'),
            key: await readPem(client.key, keyPem, 'private key'),
          },
        }),
  };
}

const certificatePem = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----/;
const keyPem = /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/;

async function readPem(file: string, marker: RegExp, what: string): Promise<string> {
  const text = await readConfigFile(file);
  if (text === undefined) {
    throw new ToolError('REGISTRY_CONFIG_INVALID', `there is no file ${file}, which is to hold a ${what}`, {
      hint: 'put it there, or take the setting that names it away',
    });
  }
  if (!marker.test(text)) throw configInvalid(file, [`holds no ${what} in PEM form`]);
  return text;
}
