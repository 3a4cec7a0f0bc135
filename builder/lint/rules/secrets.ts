import { quoted } from '../../buildfile/problems.ts';
import { type TomlPath, tableKeys } from '../../buildfile/toml.ts';
import type { Breach, Rule } from '../rule.ts';
import { allSteps, type LintStage } from '../subject.ts';

export const secretInEnv: Rule = {
  name: 'secret-in-env',
  severity: 'error',
  what: 'An environment variable that is named like a secret (`NPM_TOKEN`, `DB_PASSWORD`) and has a value.',
  why: 'Values of variables are in the image and its history, for everybody who can pull it.',
  *check({ stages }) {
    for (const stage of stages.values()) {
      yield* secretsAt(stage, [...stage.at, 'image', 'env'], stage.content.image?.env);
      for (const { at, content } of stage.steps) yield* secretsAt(stage, [...at, 'env'], content.env);
    }
  },
};

export const secretInArg: Rule = {
  name: 'secret-in-arg',
  severity: 'error',
  what: 'An argument that is named like a secret.',
  why: 'Arguments are on command lines, in the environment of every script, and in what Kiln remembers of a build.',
  *check({ files, args }) {
    for (const { name, document, default: value } of args.values()) {
      const file = files.find(({ part }) => part.document === document);
      if (file === undefined || !isSecretName(name) || isHarmless(value?.text ?? ' ')) continue;
      const at = ['args', name];
      const message = `${quoted(name)} looks like a secret; let steps mount it: mounts = [{ secret = "ID" }], and kiln build --secret`;
      yield { file, at, span: file.keySpan(at), message };
    }
  },
};

export const credentialsInUrl: Rule = {
  name: 'credentials-in-url',
  severity: 'error',
  what: 'A script with a URL that has a password in it.',
  why: 'Scripts are in the history of the image, for everybody who can pull it.',
  *check(subject) {
    for (const { file, script } of allSteps(subject)) {
      const found = /\bhttps?:\/\/[^\s/:@"'$]{1,200}:[^\s/@"'$]{1,200}@/.exec(script?.text ?? '');
      if (script === undefined || found === null) continue;
      const span = script.spanOf({ start: found.index, end: found.index + found[0].length });
      const message = 'this URL has a password in it; mount it as a secret, and read it in the script';
      yield { file, at: script.at, span, message };
    }
  },
};

/** Words that make a name that of a secret. What it ends with may tell that it only leads to one. */
const secretWord =
  /(?:^|_)(?:[A-Z0-9]*(?:TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET)S?|PWORD|CREDENTIALS?|(?:API|ACCESS|PRIVATE|SECRET|SIGNING|ENCRYPTION)_?KEY)(?:_|$)/i;
const leadsToOne = /(?:^|_)PUBLIC(?:_|$)|_(?:FILE|PATH|DIR|URL|URI|ENDPOINT|HOST|NAME|TTL|EXPIRY|LENGTH)$/i;

function isSecretName(name: string): boolean {
  return name.length <= 200 && secretWord.test(name) && !leadsToOne.test(name);
}

/** No secret has such a value: empty, a switch, a file. */
function isHarmless(value: string): boolean {
  return /^$|^(?:true|false|yes|no|on|off|0|1)$|^\.?\//i.test(value);
}

function* secretsAt(
  { file }: LintStage,
  at: TomlPath,
  env: Readonly<Record<string, string>> | undefined,
): Generator<Breach> {
  for (const name of tableKeys(env)) {
    if (!isSecretName(name) || isHarmless(env?.[name] ?? '')) continue;
    const message = `${quoted(name)} looks like a secret, and everybody finds it in the image; let steps mount it: mounts = [{ secret = "ID", env = ${quoted(name).replaceAll('`', '"')} }]`;
    yield { file, at: [...at, name], span: file.keySpan([...at, name]), message };
  }
}
