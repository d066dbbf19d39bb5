/**
 * What this library relies on in BullMQ. When a release of BullMQ fails here, read what changed before anything else.
 */
import { Bull } from '../../src/store/redis/bullmq/encode.js';
import { hoistDefinitions } from '../../src/store/redis/lua/hoist.js';

test('the scripts of the installed BullMQ have the keys, in the order, that their bodies expect', async () => {
  const { scripts } = await Bull.load('aq:pod');
  expect(scripts.keyNames).toEqual({
    addStandardJob: ['wait', 'paused', 'meta', 'id', 'completed', 'delayed', 'active', 'events', 'marker'],
    addDelayedJob: ['marker', 'meta', 'id', 'delayed', 'completed', 'events'],
    addPrioritizedJob: ['marker', 'meta', 'id', 'prioritized', 'delayed', 'completed', 'active', 'events', 'pc'],
    addParentJob: ['meta', 'id', 'delayed', 'waiting-children', 'completed', 'events'],
    retryJob: [
      'active',
      'wait',
      'paused',
      '<job>',
      'meta',
      'events',
      'delayed',
      'prioritized',
      'pc',
      'marker',
      'stalled',
    ],
    moveToDelayed: [
      'marker',
      'active',
      'prioritized',
      'delayed',
      '<job>',
      'events',
      'meta',
      'stalled',
      'wait',
      'limiter',
      'pc',
    ],
    pause: ['wait', 'paused', 'meta', 'prioritized', 'events', 'delayed', 'marker'],
    resume: ['paused', 'wait', 'meta', 'prioritized', 'events', 'delayed', 'marker'],
    moveToActive: [
      'wait',
      'active',
      'prioritized',
      'events',
      'stalled',
      'limiter',
      'delayed',
      'paused',
      'meta',
      'pc',
      'marker',
    ],
    completed: [
      'wait',
      'active',
      'prioritized',
      'events',
      'stalled',
      'limiter',
      'delayed',
      'paused',
      'meta',
      'pc',
      'completed',
      '<job>',
      'metrics:completed',
      'marker',
    ],
    failed: [
      'wait',
      'active',
      'prioritized',
      'events',
      'stalled',
      'limiter',
      'delayed',
      'paused',
      'meta',
      'pc',
      'failed',
      '<job>',
      'metrics:failed',
      'marker',
    ],
    // 'wait' takes the place of the list of a paused queue: only older versions use another list.
    addJobScheduler: [
      'repeat',
      'delayed',
      'wait',
      'wait',
      'meta',
      'prioritized',
      'marker',
      'id',
      'events',
      'pc',
      'active',
    ],
    updateJobScheduler: [
      'repeat',
      'delayed',
      'wait',
      'paused',
      'meta',
      'prioritized',
      'marker',
      'id',
      'events',
      'pc',
      '<job>',
      'active',
    ],
    removeJobScheduler: ['repeat', 'delayed', 'events'],
  });
});

test('each body still says that it reads what it is given', async () => {
  const { scripts } = await Bull.load('aq:pod');
  const says = (body: string, ...texts: string[]) => {
    for (const text of texts) expect(scripts.bodies[body]).toContain(text);
  };
  says(
    'addStandardJob',
    '[2]  custom id',
    '[3]  name',
    '[4]  timestamp',
    'cmsgpack.unpack(ARGV[1])',
    'cmsgpack.unpack(ARGV[3])',
  );
  says('addDelayedJob', '[2]  custom id', '[3]  name', '[4]  timestamp', 'cmsgpack.unpack(ARGV[1])');
  says(
    'moveToActive',
    'ARGV[1] key prefix',
    'ARGV[2] timestamp',
    'ARGV[3] opts',
    "opts['token']",
    "opts['lockDuration']",
  );
  says(
    'moveToFinished',
    'ARGV[1]  jobId',
    'ARGV[5]  target',
    'ARGV[6]  fetch next?',
    'ARGV[8]  opts',
    'ARGV[9]  job fields to update',
  );
  says(
    'addParentJob',
    '[5]  parentKey?',
    '[6]  parent dependencies key.',
    '[7]  parent? {id, queueKey}',
    'cmsgpack.unpack(ARGV[1])',
  );
  // A flow relies on the place of a parent's children, and on BullMQ putting a parent before all waiting jobs.
  for (const body of ['moveToFinished', 'removeJob']) {
    says(body, '":dependencies"', '"waiting-children"', '"RPUSH", is');
  }
  says('moveToFinished', '":processed"', '":failed"', "parentData['idof']", '"child " .. jobIdKey .. " failed"');
  says('addPrioritizedJob', '[2]  custom id', '[3]  name', '[4]  timestamp', 'cmsgpack.unpack(ARGV[1])');
  says(
    'retryJob',
    'ARGV[3]  pushCmd',
    'ARGV[4]  jobId',
    'ARGV[5]  token',
    'ARGV[6]  optional job fields to update',
    'rcall("HINCRBY", jobKey, "atm", 1)',
  );
  says(
    'moveToDelayed',
    'ARGV[3] the id of the job',
    'ARGV[4] queue token',
    'ARGV[5] delay value',
    'ARGV[6] skip attempt',
    'ARGV[7] optional job fields to update',
    'ARGV[8] fetch next?',
  );
  says('pause', "ARGV[1] 'paused' or 'resumed'", "ARGV[2] '1' to emit event", 'return legacyPausedRemaining');
  says('removeJob', 'KEYS[1] jobKey', 'KEYS[2] repeat key', 'ARGV[1] jobId', 'ARGV[2] remove children');
  says('updateData', 'KEYS[1] Job id key', 'ARGV[1] data');
  says(
    'addJobScheduler',
    'local pausedKey = KEYS[4]',
    'ARGV[1] next milliseconds',
    'ARGV[2] msgpacked options',
    'ARGV[3] jobs scheduler id',
    'ARGV[4] Json stringified template data',
    'ARGV[5] mspacked template opts',
    'ARGV[6] msgpacked delayed opts',
    'ARGV[7] timestamp',
    'ARGV[8] prefix key',
  );
  says(
    'updateJobScheduler',
    'ARGV[1] next milliseconds',
    'ARGV[2] jobs scheduler id',
    'ARGV[4] msgpacked delayed opts',
    'ARGV[5] timestamp',
    'ARGV[6] prefix key',
    'ARGV[7] producer id',
  );
  says('removeJobScheduler', 'ARGV[1] job scheduler id', 'ARGV[2] prefix key');
});

test('the bodies only read what they unpack, so that calls of one batch can share it', async () => {
  const { scripts } = await Bull.load('aq:pod');
  // These two write to the options of the job that they make; each call gives them a table of its own.
  const { addJobScheduler, updateJobScheduler, ...others } = scripts.bodies;
  for (const body of [addJobScheduler, updateJobScheduler]) expect(body).toContain('cmsgpack.unpack(ARGV[');
  for (const body of Object.values(others)) {
    expect(body).not.toMatch(/\b(opts|args|fullOpts|deduplicationOpts)(\[[^\]]*\]|\.\w+)+\s*=[^=]/);
    expect(body).not.toMatch(/table\.(insert|remove|sort)\((opts|args|fullOpts)\b/);
  }
});

test('the helpers of every large body are made once a batch: none is tied to the body by a variable', async () => {
  const { scripts } = await Bull.load('aq:pod');
  for (const name of ['addStandardJob', 'addDelayedJob', 'moveToActive', 'moveToFinished']) {
    const { definitions, rest } = hoistDefinitions(scripts.bodies[name] ?? '');
    expect(definitions.match(/^local (function \w+|\w+ = function)/gm)?.length).toBeGreaterThan(5);
    expect(rest).not.toMatch(/^local (function|\w+ = function)/m);
  }
});
