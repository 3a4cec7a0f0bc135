import { baseStage, type RuleExamples, runs } from './lint-example.testing.ts';

/** Of the rules about what steps run. */
export const scriptExamples: Readonly<Record<string, RuleExamples>> = {
  'cd-in-run': {
    hits: [
      [runs('cd /src && make'), 'cd /src'],
      [runs('\n# first\ncd "/a b"\nmake'), 'cd "/a b"'],
    ],
    misses: [
      runs('make && cd /src && make'),
      runs('cd "$DIR" && make'),
      runs('(true; cd /x; make)'),
      runs('cdrecord /src && x'),
      runs('cd /x'),
    ],
  },
  'chmod-after-copy': {
    hits: [
      [
        { text: 'steps = [{ copy = "a", to = "/bin/a" }, { run = "chmod +x /bin/a" }]', files: { a: '' } },
        'chmod +x /bin/a',
      ],
      [
        { text: 'steps = [{ copy = "a", to = "/srv/" }, { run = "chown -R 1:1 /srv/" }]', files: { a: '' } },
        'chown -R 1:1 /srv/',
      ],
    ],
    misses: [
      { text: 'steps = [{ copy = "a", to = "/bin/a" }, { run = "chmod +x /bin/b" }]', files: { a: '' } },
      { text: 'steps = [{ copy = "a", to = "/bin/a" }, { run = "chmod +x /bin/a && a" }]', files: { a: '' } },
      {
        text: 'steps = [{ copy = "a", to = "/a", layer = "x" }, { run = "chmod +x /a", layer = "x" }]',
        files: { a: '' },
      },
      runs('chmod +x /bin/a'),
    ],
  },
  'command-in-one-word': {
    hits: [
      [{ text: '[image]\ncmd = ["nginx -g", "x"]' }, '"nginx -g"'],
      [{ text: '[[steps]]\nrun = ["make all"]' }, '"make all"'],
      [{ text: '[image]\nhealthcheck = { cmd = ["curl -f http://localhost"] }' }, '"curl -f http://localhost"'],
    ],
    misses: [
      { text: '[image]\ncmd = ["nginx", "-g", "daemon off;"]' },
      { text: '[image]\nentrypoint = ["sh"]\ncmd = ["-c all of it"]' },
      { text: '[[steps]]\nrun = "make all"' },
    ],
  },
  'copy-before-install': {
    hits: [
      [{ text: 'steps = [{ copy = "." }, { run = "npm ci" }]', files: { 'package.json': '' } }, '"."'],
      [
        { text: 'steps = [{ copy = "./" }, { run = "true && pip install -r req.txt" }]', files: { 'req.txt': '' } },
        '"./"',
      ],
      [
        {
          text: 'steps = [{ copy = ["x", "."], to = "./" }, { run = "go mod download" }]',
          files: { x: '', 'go.mod': '' },
        },
        '"."',
      ],
    ],
    misses: [
      {
        text: 'steps = [{ copy = "package.json" }, { run = "npm ci" }, { copy = "." }]',
        files: { 'package.json': '' },
      },
      {
        text: 'steps = [{ copy = "package.json" }, { run = "npm ci" }, { copy = "." }, { run = "npm ci" }]',
        files: { 'package.json': '' },
      },
      { text: 'steps = [{ copy = "." }, { run = "npm ci" }]' },
      { text: 'steps = [{ copy = "." }, { run = "npm install left-pad-cli x" }]', files: { 'package.json': '' } },
      { text: 'steps = [{ copy = "." }, { run = "npm test" }]', files: { 'package.json': '' } },
    ],
  },
  'credentials-in-url': {
    hits: [[runs('git pull https://me:pass@example.org/x.git'), 'https://me:pass@']],
    misses: [runs('git pull https://me:$PASS@example.org/x.git'), runs('curl https://example.org:80/a@b')],
  },
  'download-in-run': {
    hits: [
      [runs('curl -fsSL https://example.org/x.tgz -o x.tgz'), 'curl -fsSL https://example.org/x.tgz -o x.tgz'],
      [runs('curl https://example.org/y.sh | bash -s; sha256sum x'), 'curl https://example.org/y.sh'],
      [runs('git clone https://example.org/x.git'), 'git clone https://example.org/x.git'],
      [{ text: '[[steps]]\nrun = ["sh", "-c", "wget -q https://example.org/x"]' }, '"wget -q https://example.org/x"'],
    ],
    misses: [
      runs('curl -fO https://example.org/x.tgz\necho "1  x.tgz" | sha256sum -c'),
      runs('curl -f http://localhost:8080/'),
      runs('echo curl https://example.org'),
      runs('git clone https://example.org/x.git && git -C x checkout 0123'),
    ],
  },
  'host-network': {
    hits: [[runs('true', 'network = "host"'), '"host"']],
    misses: [runs('true', 'network = "none"'), runs('true')],
  },
  'mode-777': {
    hits: [
      [{ text: '[[steps]]\ncopy = "a"\nmode = "0777"', files: { a: '' } }, '"0777"'],
      [{ text: '[[steps]]\ncopy = "a"\nmode = 0o666', files: { a: '' } }, '0o666'],
      [runs('x; chmod -R 777 /srv'), '777'],
      [runs('chmod go+rwx /srv'), 'go+rwx'],
      [runs('chmod a+w /srv'), 'a+w'],
    ],
    misses: [
      { text: '[[steps]]\ncopy = "a"\nmode = "0775"', files: { a: '' } },
      runs('chmod 1777 /tmp'),
      runs('chmod ug+w /srv && chmod 755 /777'),
      runs('echo chmod 777'),
      runs('chmod -R g+w /srv'),
    ],
  },
  'packages-in-run': {
    hits: [
      [runs('apt-get update && apt-get install -y curl'), 'apt-get install -y curl'],
      [runs('sudo -E env A=1 apt install curl'), 'sudo -E env A=1 apt install curl'],
      [runs('apk --no-cache add curl'), 'apk --no-cache add curl'],
      [runs('if true; then\n  DEBIAN_FRONTEND=noninteractive apt-get -y install x\nfi'), 'apt-get -y install x'],
      [{ text: '[[steps]]\nrun = ["apt-get", "install", "x"]' }, '["apt-get", "install", "x"]'],
    ],
    misses: [
      runs('apt-get install ./x.deb'),
      runs('apt-get download x'),
      runs('echo apt-get install x'),
      runs('# apt-get install x'),
      runs('apk add --virtual .build gcc'),
      runs('cat <<EOF\napt-get install x\nEOF'),
      { text: '[[steps]]\npackages = ["x"]' },
    ],
  },
  'pipe-hides-failure': {
    hits: [
      [runs('make | tee log'), 'make'],
      [runs('make |& tee log', 'shell = ["/bin/bash", "-ec"]'), 'make'],
      [{ text: 'steps = [{ shell = ["/bin/sh", "-c"] }, { run = "make | tee" }]' }, 'make'],
    ],
    misses: [
      runs('set -o pipefail; make | tee log', 'shell = ["/bin/bash", "-ec"]'),
      runs('make | tee log', 'shell = ["/bin/bash", "-euo", "pipefail", "-c"]'),
      { text: 'steps = [{ shell = ["bash", "-o", "pipefail", "-c"] }, { run = "make | tee" }]' },
      {
        text: `${baseStage}steps = [{ shell = ["bash", "-o", "pipefail", "-c"] }]\n[stages.b]\nfrom = "base"\nsteps = [{ run = "make | tee" }]`,
      },
      runs('make || true'),
      runs('echo yes | make'),
      runs('x "a | b" \'c | d\' $(e | f) # g | h'),
      runs('print("a" | b)', 'shell = ["/usr/bin/python3", "-c"]'),
      { text: '[[steps]]\nrun = ["make", "|", "tee"]' },
    ],
  },
  'sudo-in-run': {
    hits: [[runs('true && sudo make'), 'sudo make']],
    misses: [runs('echo sudo make'), runs('su -c make')],
  },
  'upgrade-in-run': {
    hits: [
      [runs('apt-get update && apt-get -y dist-upgrade'), 'apt-get -y dist-upgrade'],
      [runs('apk upgrade'), 'apk upgrade'],
    ],
    misses: [runs('apt-get update'), runs('dnf update one-package'), runs('apk update')],
  },
};
