// Compiles runtime/native/*.c to dist/native/kiln-launcher. Runs at `npm ci`, possibly under an old Node: plain
// JavaScript, no dependencies. Nothing is compiled when the program is newer than its sources.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const thisFile = fileURLToPath(import.meta.url);
const packageRoot = path.dirname(path.dirname(thisFile));
const sourceFolder = path.join(packageRoot, 'runtime', 'native');
const output = path.join(packageRoot, 'dist', 'native', 'kiln-launcher');

const neededHeaders = ['linux/mount.h', 'linux/openat2.h', 'linux/seccomp.h', 'sys/signalfd.h', 'stdio.h'];
const remedy =
  'Install a C compiler and its headers, then run this again (Debian: apt-get install -y gcc libc6-dev; ' +
  'Fedora: dnf install gcc glibc-devel kernel-headers; Alpine: apk add gcc musl-dev linux-headers).';

const sources = readdirSync(sourceFolder).filter((name) => /\.[ch]$/.test(name));
if (!isUpToDate()) {
  mkdirSync(path.dirname(output), { recursive: true });
  const scratch = mkdtempSync(path.join(path.dirname(output), '.build-'));
  try {
    const problem = build(scratch);
    if (problem !== undefined) {
      console.error(`kiln: ${problem}`);
      process.exitCode = 1;
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Gives a sentence that says what went wrong, or undefined. */
function build(scratch) {
  const compilers = [process.env.CC, 'cc', 'gcc', 'clang', 'musl-gcc'].filter(
    (name) => name && spawnSync(name, ['--version']).status === 0,
  );
  if (compilers.length === 0) {
    return `the native launcher needs a C compiler, and none of $CC, cc, gcc, clang, musl-gcc is here.\n${remedy}`;
  }
  const compiler = compilers.find((name) => hasHeaders(name, scratch));
  if (compiler === undefined) {
    return `the C compiler ${compilers[0]} lacks headers of the system (${neededHeaders.join(', ')}).\n${remedy}`;
  }
  const program = path.join(scratch, 'kiln-launcher');
  // Static, so that it starts fast and needs no libc of its own at run time; not every machine has a static libc.
  const problem = compile(compiler, program, ['-static']) && compile(compiler, program, []);
  if (problem !== undefined) return `${compiler} could not compile the native launcher:\n${problem}`;
  renameSync(program, output);
  return undefined;
}

function hasHeaders(compiler, scratch) {
  const probe = path.join(scratch, 'probe.c');
  writeFileSync(probe, neededHeaders.map((name) => `#include <${name}>\n`).join(''));
  return spawnSync(compiler, ['-fsyntax-only', probe]).status === 0;
}

function compile(compiler, program, linkFlags) {
  const files = sources.filter((name) => name.endsWith('.c')).sort();
  // A newer compiler's new warning must not break an installation.
  const warningsAsErrors = process.env.CI ? ['-Werror'] : [];
  const flags = ['-std=gnu11', '-O2', '-Wall', '-Wextra', ...warningsAsErrors, ...linkFlags, '-o', program];
  const { status, stderr } = spawnSync(compiler, [...flags, ...files], { cwd: sourceFolder, encoding: 'utf8' });
  return status === 0 ? undefined : stderr;
}

function isUpToDate() {
  try {
    const builtMs = statSync(output).mtimeMs;
    const inputs = [thisFile, sourceFolder, ...sources.map((name) => path.join(sourceFolder, name))];
    return inputs.every((input) => statSync(input).mtimeMs < builtMs);
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
}
