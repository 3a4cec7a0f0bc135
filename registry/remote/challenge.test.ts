import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseChallenges } from './challenge.ts';

function parsed(header: string): [string, Record<string, string>][] {
  return parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
}

describe('parseChallenges', () => {
  it.each<[string, [string, Record<string, string>][]]>([
    ['', []],
    ['Basic realm="x"', [['basic', { realm: 'x' }]]],
    ['Basic', [['basic', {}]]],
    [
      'Bearer realm="https://auth.example.com/token",service="registry.example.com",scope="repository:a/b:pull,push"',
      [
        [
          'bearer',
          {
            realm: 'https://auth.example.com/token',
            service: 'registry.example.com',
            scope: 'repository:a/b:pull,push',
          },
        ],
      ],
    ],
    [
      'Negotiate dG9rZW4=, Bearer Realm = "r" , SERVICE=s,Basic realm="b"',
      [
        ['negotiate', {}],
        ['bearer', { realm: 'r', service: 's' }],
        ['basic', { realm: 'b' }],
      ],
    ],
    ['Bearer realm="a \\"quoted\\" \\\\ text"', [['bearer', { realm: 'a "quoted" \\ text' }]]],
    ['Bearer realm="first",realm="second"', [['bearer', { realm: 'first' }]]],
    [',, Basic realm=x', [['basic', { realm: 'x' }]]],
    ['Bearer realm="never closed', [['bearer', {}]]],
    ['"Basic" realm="x"', []],
    [
      'Bearer realm=https://auth.example.com/token?a=b,service=r.example.com:5000,scope=repository:a/b:pull',
      [
        [
          'bearer',
          {
            realm: 'https://auth.example.com/token?a=b',
            service: 'r.example.com:5000',
            scope: 'repository:a/b:pull',
          },
        ],
      ],
    ],
    ['Bearer realm="a" service="b" scope="c"', [['bearer', { realm: 'a', service: 'b', scope: 'c' }]]],
    [
      'Basic realm="a", Bearer realm="b"',
      [
        ['basic', { realm: 'a' }],
        ['bearer', { realm: 'b' }],
      ],
    ],
    [
      'Bearer realm="a",error="insufficient_scope",error_description="say \\"please\\""',
      [['bearer', { realm: 'a', error: 'insufficient_scope', error_description: 'say "please"' }]],
    ],
  ])('reads %j', (header, challenges) => {
    expect(parsed(header)).toEqual(challenges);
  });

  it('reads back any parameters', () => {
    const token = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/);
    const value = fc.stringMatching(/^[\x20-\x7e]{0,30}$/);
    const challenge = fc.tuple(token, fc.dictionary(token, value, { minKeys: 1, maxKeys: 4, noNullPrototype: true }));
    fc.assert(
      fc.property(fc.array(challenge, { maxLength: 4 }), (challenges) => {
        const header = challenges
          .map(([scheme, parameters]) => {
            const pairs = Object.entries(parameters).map(
              ([name, text]) => `${name}="${text.replace(/["\\]/g, (character) => `\\${character}`)}"`,
            );
            return `${scheme} ${pairs.join(', ')}`;
          })
          .join(', ');

        expect(parsed(header)).toEqual(challenges);
      }),
    );
  });

  it('never throws, whatever it is sent', () => {
    const piece = fc.oneof(fc.constantFrom('Basic', 'Bearer', ' ', ',', '=', '"', '\\', '\t', 'realm'), fc.string());
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => parseChallenges(pieces.join('')).length >= 0),
    );
  });

  it('reads no more than a server can mean', () => {
    const parameters = Array.from({ length: 100 }, (_, index) => `p${index}=x`).join(',');

    expect(parsed('Basic realm=x,'.repeat(100)).length).toBeLessThanOrEqual(16);
    expect(Object.keys(parsed(`Basic ${parameters}`)[0]?.[1] ?? {}).length).toBeLessThanOrEqual(32);
  });

  it.each(['"\\', 'a=', 'a ', ', ', 'a="', '=,'])('takes no time over %j ten thousand times', (piece) => {
    const started = performance.now();

    parseChallenges(`Basic ${piece.repeat(10_000)}`);

    expect(performance.now() - started).toBeLessThan(200);
  });
});
