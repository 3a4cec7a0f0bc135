import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const smallFiles = 2_000;
const bigFileBytes = 16 * 1024 ** 2;

/** The ten steps, in both languages: five commands, four copies, one working directory. */
const steps: readonly (readonly [dockerfile: string, buildfile: string])[] = [
  ['WORKDIR /app', '{ workdir = "/app" }'],
  ['COPY tree /app/tree', '{ copy = "tree", to = "/app/tree" }'],
  ['RUN ls -R tree > list', '{ run = "ls -R tree > list" }'],
  ['COPY big /app/big', '{ copy = "big", to = "/app/big" }'],
  ['RUN sha256sum big > big.sum', '{ run = "sha256sum big > big.sum" }'],
  ['COPY a.txt /app/a.txt', '{ copy = "a.txt", to = "/app/a.txt" }'],
  ['RUN cat a.txt a.txt > aa.txt', '{ run = "cat a.txt a.txt > aa.txt" }'],
  ['COPY b.txt /app/b.txt', '{ copy = "b.txt", to = "/app/b.txt" }'],
  ['RUN cp -r tree copy', '{ run = "cp -r tree copy" }'],
  ['RUN rm -r copy', '{ run = "rm -r copy" }'],
];

/** A context with 2,000 small files, one of 16 MiB, and the same build as Dockerfile and as Buildfile. */
export function writeProject(folder: string, base: string): void {
  for (let at = 0; at < smallFiles; at++) {
    const file = path.join(folder, 'tree', String(at % 50), `${at}.txt`);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text(`small ${at}`, 2_048));
  }
  writeFileSync(path.join(folder, 'big'), text('big', bigFileBytes));
  writeFileSync(path.join(folder, 'a.txt'), 'a\n');
  writeFileSync(path.join(folder, 'b.txt'), 'b\n');
  const dockerfile = [`FROM ${base}`, ...steps.map(([line]) => line)];
  writeFileSync(path.join(folder, 'Dockerfile'), `${dockerfile.join('\n')}\n`);
  const buildfile = [`from = "${base}"`, 'steps = [', ...steps.map(([, step]) => `  ${step},`), ']'];
  writeFileSync(path.join(folder, 'Buildfile'), `${buildfile.join('\n')}\n`);
}

/** A context for the base: a static busybox and the names of its applets. */
export function writeBaseProject(folder: string, busybox: string): void {
  mkdirSync(folder, { recursive: true });
  cpSync(busybox, path.join(folder, 'busybox'));
  const install =
    '{ run = ["/bin/busybox", "sh", "-c", "/bin/busybox mkdir -m 1777 /tmp && /bin/busybox --install -s /bin"] }';
  const copy = '{ copy = "busybox", to = "/bin/busybox", mode = "0755" }';
  writeFileSync(path.join(folder, 'Buildfile'), `from = "scratch"\nsteps = [\n  ${copy},\n  ${install},\n]\n`);
}

/** `length` characters that gzip halves, as it does with programs; the same in every run. */
function text(seed: string, length: number): string {
  const parts: string[] = [];
  for (let at = 0; at * 64 < length; at++) parts.push(createHash('sha256').update(`${seed} ${at}`).digest('hex'));
  return parts.join('').slice(0, length);
}
