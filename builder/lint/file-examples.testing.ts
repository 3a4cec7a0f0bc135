import type { LockContent } from '../lock/lock-content.ts';
import { baseStage, type RuleExamples, runs } from './lint-example.testing.ts';

const digest = 'sha256:0000000000000000000000000000000000000000000000000000000000000000';
const lockedImage: Partial<LockContent> = { images: new Map([['docker.io/library/debian:latest', digest as never]]) };

/** Of the rules about everything else. */
export const fileExamples: Readonly<Record<string, RuleExamples>> = {
  'http-fetch': {
    hits: [[{ text: `[[steps]]\nfetch = "http://example.org/x"\nchecksum = "${digest}"` }, '"http://example.org/x"']],
    misses: [
      { text: `[[steps]]\nfetch = "http://127.0.0.1/x"\nchecksum = "${digest}"` },
      { text: '[[steps]]\nfetch = "https://example.org/x"' },
    ],
  },
  'ignored-copy': {
    hits: [
      [{ text: '[[steps]]\ncopy = "dist/app"', files: { '.dockerignore': 'dist\n', 'dist/app': '' } }, '"dist/app"'],
      [
        { text: '[[steps]]\nrun = "x"\nmounts = [{ bind = "./a", to = "/a" }]', files: { '.buildignore': 'a', a: '' } },
        '"./a"',
      ],
    ],
    misses: [
      { text: '[[steps]]\ncopy = "dist"', files: { '.dockerignore': 'dist\n!dist/app\n', 'dist/app': '' } },
      { text: '[[steps]]\ncopy = "dist"\noptional = true', files: { '.dockerignore': 'dist\n' } },
      { text: '[[steps]]\ncopy = "*"', files: { '.dockerignore': '*\n' } },
      { text: '[[steps]]\ncopy = "/dist"\nfrom = "debian:12"', files: { '.dockerignore': 'dist\n' } },
    ],
  },
  'layer-name-apart': {
    hits: [[{ text: 'steps = [{ run = "a", layer = "x" }, { run = "b" }, { run = "c", layer = "x" }]' }, '"x"']],
    misses: [
      { text: 'steps = [{ run = "a", layer = "x" }, { run = "b", layer = "x" }, { run = "c", layer = "y" }]' },
      {
        text: `${baseStage}steps = [{ run = "a", layer = "x" }]\n[stages.b]\nfrom = "base"\nsteps = [{ run = "a", layer = "x" }]`,
      },
    ],
  },
  'missing-ignore-file': {
    hits: [[{ text: '[[steps]]\ncopy = "."', files: { '.git/HEAD': '' } }, '"."']],
    misses: [
      { text: '[[steps]]\ncopy = "."', files: { '.git/HEAD': '', '.dockerignore': 'x' } },
      { text: '[[steps]]\ncopy = "."', files: { x: '' } },
      { text: '[[steps]]\ncopy = "."\nexclude = [".git/"]', files: { '.git/HEAD': '' } },
      { text: '[[steps]]\ncopy = "src"', files: { '.git/HEAD': '', 'src/x': '' } },
      { text: '[[steps]]\ncopy = "."', files: { 'node_modules/x': '', 'Buildfile.ignore': '' } },
    ],
  },
  'missing-source': {
    hits: [
      [{ text: '[[steps]]\ncopy = ["a", "b/c"]\nto = "/"', files: { a: '', 'b/d': '' } }, '"b/c"'],
      [{ text: `[args]\nN = "x"\n[[steps]]\ncopy = "\${N}.txt"` }, `"\${N}.txt"`],
    ],
    misses: [
      { text: '[[steps]]\ncopy = ["/a/", "./b/./c"]\nto = "/"', files: { 'a/x': '', 'b/c': '' } },
      { text: '[[steps]]\ncopy = "no*"' },
      { text: '[[steps]]\ncopy = "no"\noptional = true' },
      { text: '[[steps]]\ncopy = "no"\nfrom = "debian:12"' },
    ],
  },
  'relative-workdir': {
    hits: [
      [{ text: '[[steps]]\nworkdir = "src"' }, '"src"'],
      [runs('x', 'workdir = "src"'), '"src"'],
      [{ text: 'steps = [{ run = "x", workdir = "/a" }, { workdir = "b" }]' }, '"b"'],
    ],
    misses: [
      { text: 'steps = [{ workdir = "/a" }, { workdir = "b" }]' },
      { text: 'from = "scratch"\nsteps = [{ workdir = "b" }]' },
      { text: `${baseStage}steps = [{ workdir = "/a" }]\n[stages.b]\nfrom = "base"\nsteps = [{ workdir = "c" }]` },
    ],
  },
  'repeated-package': {
    hits: [[{ text: '[[steps]]\npackages = ["a", "b", "a"]' }, '"a"']],
    misses: [{ text: '[[steps]]\npackages = ["a", "a-dev"]\n[[steps]]\npackages = ["a"]' }],
  },
  'runs-as-root': {
    hits: [
      [{ text: '' }, 'from'],
      [{ text: '[image]\nuser = "root"' }, 'from'],
      [{ text: 'steps = [{ user = "nobody" }, { user = "0:0" }]' }, 'from'],
    ],
    misses: [
      { text: '[image]\nuser = "nobody"' },
      { text: 'steps = [{ user = "root" }, { user = "app" }]' },
      { text: `${baseStage}steps = [{ user = "app" }]\n[stages.b]\nfrom = "base"` },
    ],
  },
  'secret-in-arg': {
    hits: [
      [{ text: '[args]\nNPM_TOKEN = "abc"' }, 'NPM_TOKEN'],
      [{ text: '[args]\nPASSWORD = { required = true }' }, 'PASSWORD'],
    ],
    misses: [{ text: '[args]\nTOKENIZER = "x"\nTOKEN_FILE = "x"\nPUBLIC_KEY = "x"\nALLOW_EMPTY_PASSWORD = "yes"' }],
  },
  'secret-in-env': {
    hits: [
      [{ text: '[image]\nenv = { DB_PASSWORD = "hunter2" }' }, 'DB_PASSWORD'],
      [{ text: '[[steps]]\nenv = { API_KEY = "x" }' }, 'API_KEY'],
      [runs('x', 'env = { "my_secret" = "x" }'), '"my_secret"'],
    ],
    misses: [
      {
        text: '[image]\nenv = { DB_PASSWORD_FILE = "x", DB_PASSWORD = "", SECRET = "/run/secrets/x", KEYBOARD = "x" }',
      },
      runs('x', 'mounts = [{ secret = "a", env = "DB_PASSWORD" }]'),
    ],
  },
  'shared-package-cache': {
    hits: [
      [runs('x', 'mounts = [{ cache = "/var/cache/apt" }]'), '"/var/cache/apt"'],
      [runs('x', 'mounts = [{ cache = "/var/lib/apt/lists", sharing = "shared" }]'), '"/var/lib/apt/lists"'],
    ],
    misses: [runs('x', 'mounts = [{ cache = "/var/cache/apt", sharing = "private" }, { cache = "/root/.npm" }]')],
  },
  'unknown-rule': {
    hits: [
      [{ text: '# kiln: ignore sudo-in-runn, sudo-in-run\n[image]' }, 'sudo-in-runn'],
      [{ text: '\r\n# kiln: ignore x\r\n[image]\r\n' }, 'x'],
    ],
    misses: [{ text: '# kiln: ignore sudo-in-run for once\n[image]\ncmd = ["# kiln: ignore nothing"]' }],
  },
  'unpinned-base': {
    hits: [
      [{ text: 'from = "debian"' }, '"debian"'],
      [{ text: 'from = "debian:latest"', lock: {} }, '"debian:latest"'],
      [{ text: '[[steps]]\ncopy = "/x"\nfrom = "busybox"' }, '"busybox"'],
      [{ text: `[args]\nB = "debian"\n[stages.a]\nfrom = "\${B}"` }, `"\${B}"`],
    ],
    misses: [
      { text: 'from = "debian:12"' },
      { text: `from = "debian@${digest}"` },
      { text: 'from = "debian"', lock: lockedImage },
      { text: `${baseStage}[stages.b]\nfrom = "base"` },
      { text: 'from = "scratch"' },
    ],
  },
  'unpinned-fetch': {
    hits: [
      [{ text: '[[steps]]\nfetch = "https://example.org/x"' }, '"https://example.org/x"'],
      [{ text: '[[steps]]\nfetch = "https://example.org/x.git#v1"' }, '"https://example.org/x.git#v1"'],
    ],
    misses: [
      { text: `[[steps]]\nfetch = "https://example.org/x"\nchecksum = "${digest}"` },
      {
        text: '[[steps]]\nfetch = "https://example.org/x"',
        lock: { urls: new Map([['https://example.org/x', digest as never]]) },
      },
      {
        text: '[[steps]]\nfetch = "https://example.org/x.git#v1"',
        lock: { git: new Map([['https://example.org/x.git#v1', '0']]) },
      },
      { text: '[[steps]]\nfetch = "https://example.org/x.git#0123456789012345678901234567890123456789"' },
    ],
  },
  'unsorted-packages': {
    hits: [
      [{ text: '[[steps]]\npackages = ["a", "c", "b"]' }, '"c"'],
      [{ text: 'from = { bootstrap = "debian", suite = "bookworm", include = ["bb", "aa"] }' }, '"bb"'],
    ],
    misses: [{ text: '[[steps]]\npackages = ["a", "b", "c=1"]' }],
  },
  'unused-arg': {
    hits: [[{ text: '[args]\nX = "1"\nXY = "2"\n[[steps]]\nrun = "echo $XY"' }, 'X']],
    misses: [
      { text: `[args]\nA = "1"\nB = "\${A}"\nC = "x"\n[[steps]]\nrun = "echo $B"\nwhen = { C = "x" }` },
      { text: `[args]\nA = "1"\n[image]\nlabels = { a = "\${A:-x}" }` },
    ],
  },
  'unused-include': {
    hits: [
      [{ text: 'include = ["a.toml"]\nfrom = "debian:12"', files: { 'a.toml': '[args]\nQ = "1"' } }, '"a.toml"'],
      [
        {
          text: 'include = ["a.toml"]\n[stages.s]\nfrom = "debian:12"',
          files: { 'a.toml': 'include = ["b.toml"]', 'b.toml': '' },
        },
        '"a.toml"',
      ],
    ],
    misses: [
      {
        text: `include = ["a.toml"]\nfrom = "debian:\${V}"`,
        files: { 'a.toml': 'include = ["b.toml"]', 'b.toml': '[args]\nV = "1"' },
      },
      { text: 'include = ["a.toml"]\n[stages.s]\nfrom = "t"', files: { 'a.toml': '[stages.t]\nfrom = "debian:12"' } },
    ],
  },
  'unused-stage': {
    hits: [[{ text: `${baseStage}[stages.left]\nfrom = "base"\n[stages.end]\nfrom = "base"` }, 'left']],
    misses: [
      { text: `${baseStage}[stages.end]\nfrom = "base"` },
      {
        text: `default = "end"\n${baseStage}[stages.tools]\nfrom = "base"\n[stages.end]\nfrom = "base"\nsteps = [{ copy = "/x", from = "tools" }]`,
      },
    ],
  },
};
