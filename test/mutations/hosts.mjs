// Guards of what pods say of the types that they work; for `scripts/mutation-check.mjs`.
const CONTRACT = ['test/contract/redis.test.ts'];
const CORE = ['test/unit/core/pod/hosts.test.ts'];
const RIGHTS = ['test/unit/store/redis/connection/rights.test.ts'];

const _HOSTS = 'src/store/redis/lua/hosts.lua';
const _ANNOUNCER = 'src/core/pod/announcer.ts';
const _LOOKUP = 'src/core/pod/host-lookup.ts';

export const hostsGuards = [
  {
    guard: 'what was said of a type runs out',
    cites: 'I8',
    at: 'hosts.OPS.announce',
    from: "redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', nowUs))",
    to: '',
    tests: CONTRACT,
  },
  {
    guard: 'a pod that takes more of a type hosts it',
    cites: 'I10',
    at: 'hosts.OPS.areHosted',
    from: '+ #pods ',
    to: '',
    tests: CONTRACT,
  },
  {
    guard: 'a type that no pod works is told once',
    cites: 'I10',
    at: 'host-lookup.onAdded',
    from: 'has(type) || this.asked.size',
    to: 'size',
    tests: CORE,
  },
  {
    guard: 'what Redis did not say is asked again',
    cites: 'I10',
    at: 'host-lookup.check',
    from: '    if (isHosted === undefined) this.asked.delete(type);\n',
    to: '',
    tests: CORE,
  },
  {
    guard: 'a pod that is gone is not taken for another application',
    cites: 'I10',
    at: 'announcer.isStranger',
    from: 'times === COMPARISONS',
    to: 'true',
    tests: CORE,
  },
  {
    guard: 'a test process that shuts down takes back what it said, and another pod does not: living pods say the same',
    cites: 'I10',
    at: 'announcer.stop',
    from: 'if (this.parts.testProcess !== undefined) this',
    to: 'this',
    tests: CORE,
  },
  {
    guard: 'a command that Redis refuses is told once',
    cites: 'I10',
    at: 'rights.onError',
    from: ' || this.refused.has(command)',
    to: '',
    tests: RIGHTS,
  },
];
