import { expect, it } from 'vitest';
import { limitsOf } from './limit-flags.ts';

const none = { memory: undefined, cpus: undefined, 'pids-limit': undefined, 'shm-size': undefined, ulimit: [] };

it('limits nothing unless asked', () => {
  expect(limitsOf(none)).toEqual({});
  expect(limitsOf({ ...none, 'pids-limit': '-1' })).toEqual({});
});

it.each([
  [{ memory: '512m' }, { memoryBytes: 512 * 1024 ** 2 }],
  [{ memory: '2G' }, { memoryBytes: 2 * 1024 ** 3 }],
  [{ memory: '8388608' }, { memoryBytes: 8_388_608 }],
  [{ cpus: '1.5' }, { cpus: 1.5 }],
  [{ cpus: '.25' }, { cpus: 0.25 }],
  [{ 'pids-limit': '100' }, { pids: 100 }],
  [{ 'shm-size': '1g' }, { shmBytes: 1024 ** 3 }],
  [{ ulimit: ['nofile=1024'] }, { ulimits: new Map([['nofile', { soft: 1024, hard: 1024 }]]) }],
  [
    { ulimit: ['nofile=1024:4096', 'core=0:-1', 'memlock=unlimited'] },
    {
      ulimits: new Map([
        ['nofile', { soft: 1024, hard: 4096 }],
        ['core', { soft: 0, hard: -1 }],
        ['memlock', { soft: -1, hard: -1 }],
      ]),
    },
  ],
])('reads %j', (flags, limits) => {
  expect(limitsOf({ ...none, ...flags })).toEqual(limits);
});

it.each([
  [{ memory: '1m' }, '--memory "1m" is too little'],
  [{ memory: 'much' }, '--memory "much" is not a size'],
  [{ cpus: '0' }, '--cpus "0" is not a number'],
  [{ cpus: '-1' }, '--cpus "-1"'],
  [{ cpus: '1e3' }, '--cpus "1e3"'],
  [{ cpus: '' }, '--cpus ""'],
  [{ 'pids-limit': '0' }, '--pids-limit "0"'],
  [{ 'pids-limit': '1.5' }, '--pids-limit "1.5"'],
  [{ 'pids-limit': '9999999999' }, '--pids-limit "9999999999"'],
  [{ 'shm-size': '0' }, '--shm-size "0"'],
  [{ ulimit: ['nofile'] }, '--ulimit "nofile" is not a limit'],
  [{ ulimit: ['nofile=many'] }, '--ulimit "nofile=many" is not a limit'],
  [{ ulimit: ['files=1'] }, '--ulimit "files=1" names no resource'],
  [{ ulimit: ['constructor=1'] }, 'names no resource'],
  [{ ulimit: ['nofile=1', 'nofile=2'] }, '--ulimit "nofile=2" is given twice'],
  [{ ulimit: ['nofile=2:1'] }, 'soft limit above'],
  [{ ulimit: ['nofile=-1:1'] }, 'soft limit above'],
  [{ ulimit: ['nofile=9999999999999999999'] }, 'is too large'],
])('refuses %j', (flags, message) => {
  expect(() => limitsOf({ ...none, ...flags })).toThrow(
    expect.objectContaining({
      code: 'USAGE_FLAG_VALUE',
      message: expect.stringContaining(message),
      hint: expect.any(String),
    }),
  );
});
