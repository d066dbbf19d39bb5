// Guards of sizes, and of what handlers throw and return; for `scripts/mutation-check.mjs`.
const CONTRACT = ['test/contract/redis.test.ts'];
const TEXT = ['test/unit/core/model/error-text.test.ts'];
const HOSTILE = ['test/unit/core/run/hostile-handlers.test.ts'];
const CHANNEL = ['test/unit/store/redis/connection/channel.test.ts'];
const BULK = ['test/unit/core/enqueue/bulk-steps.test.ts'];
const REDIS = ['test/integration/sizes.test.ts'];
const LINES = ['test/unit/core/model/log-lines.test.ts'];

const core = name => `src/core/${name}.ts`;
const redis = name => `src/store/redis/${name}.ts`;
const size = (guard, file, from, to, tests) => ({ guard: `size: ${guard}`, cites: 'I11', file, from, to, tests });

export const sizeGuards = [
  size(
    'a reason is bounded',
    core('model/failure-text'),
    'return shorten(wordsOf(error, 0), MAX_REASON_LENGTH)',
    'return wordsOf(error, 0)',
    TEXT,
  ),
  size('a stack is bounded', core('model/failure-text'), 'shorten(stack, MAX_STACK_LENGTH)', 'stack', TEXT),
  size('no pair is cut', core('model/error-text'), 'isSplit ? end - 1 : end', 'end', TEXT),
  size(
    'a property is read with care',
    core('model/error-text'),
    '  } catch {\n    return undefined;',
    '  } catch (error) {\n    throw error;',
    HOSTILE,
  ),
  size(
    'a class is asked for with care',
    core('model/error-text'),
    'return value instanceof kind;\n  } catch {\n    return false;',
    'return value instanceof kind;\n  } catch (error) {\n    throw error;',
    HOSTILE,
  ),
  size(
    'stacks are bounded together',
    core('model/error-text'),
    "if (typeof text !== 'string' || left <= 0 || (kept.length > 0 && text.length > left)) break;",
    '',
    TEXT,
  ),
  size(
    'jobs of a step share what stacks may have',
    redis('job-end'),
    'limit: options.stackTraceLimit, ends',
    'limit: options.stackTraceLimit, ends: 1',
    REDIS,
  ),
  size('control characters are escaped', core('model/error-text'), '.replace(CONTROL, escapeControl)', '', TEXT),
  size('a log line is one line', 'src/nest/system.ts', 'logger.warn(asLine(message))', 'logger.warn(message)', LINES),
  size('reported names are bounded', core('pod/admission'), ' || this.reported.size >= MAX_REPORTED', '', LINES),
  size(
    'the name of a job is bounded',
    core('enqueue/enqueuer'),
    'if (name.length > MAX_JOB_NAME_LENGTH)',
    'if (false)',
    BULK,
  ),
  size('ids are bounded', core('options/job-options'), 'id.length <= MAX_ID_LENGTH', 'true', BULK),
  size(
    'a bulk in one step is bounded',
    core('enqueue/bulk-enqueue'),
    'if (isBounded && bytes > MAX_STEP_BYTES)',
    'if (false)',
    BULK,
  ),
  size('a flow is bounded', core('enqueue/enqueuer'), 'if (bytes > MAX_STEP_BYTES)', 'if (false)', BULK),
  size('a large bulk is not overtaken', core('enqueue/bulk-enqueue'), 'held ??= parts.order.hold();', '', BULK),
  size('what waits behind a large bulk goes on', core('enqueue/bulk-enqueue'), '    held?.release();\n', '', BULK),
  size(
    'results of a batch are bounded together',
    core('run/run-batch'),
    'left -= Buffer.byteLength(end.outcome.value);',
    '',
    HOSTILE,
  ),
  size(
    'what a call may have is bounded',
    redis('connection/channel'),
    'if (size > MAX_CALL_BYTES)',
    'if (false)',
    CHANNEL,
  ),
  size(
    'what is in flight is bounded',
    redis('connection/channel'),
    ' && this.bytesInFlight < MAX_BYTES_IN_FLIGHT',
    '',
    CHANNEL,
  ),
  size('a large call goes alone', redis('connection/batch'), 'if (count > 0 && bytes > MAX_BYTES) break;', '', CHANNEL),
  size(
    'a write that throws rejects its calls',
    redis('connection/channel'),
    '      rejectAll(batch, why);\n      return;',
    '      throw why;',
    CHANNEL,
  ),
  size(
    'a fetch of large jobs ends early',
    'src/store/redis/lua/take.lua',
    'if bytes >= MAX_FETCH_BYTES and i < n then',
    'if false then',
    CONTRACT,
  ),
  size(
    'old stacks are not read',
    'src/store/redis/lua/take.lua',
    'if size > MAX_KEPT_BYTES and',
    'if false and',
    REDIS,
  ),
  size('nor with the end of a job', 'src/store/redis/lua/finish.lua', '    weigh(r[1])\n', '', REDIS),
  size(
    'a worker asks again after a partial fetch',
    core('work/store-calls'),
    'if (fetched.isPartial) state.jobs.plan.moreMayWait();',
    '',
    ['test/unit/core/work/large-batches.test.ts'],
  ),
  size(
    'beginning anew ends much in steps',
    redis('job-end'),
    'if (bytes >= MAX_STEP_BYTES && !isSameBatch)',
    'if (false)',
    REDIS,
  ),
  size('no batch ends in two steps', redis('job-end'), ' && !isSameBatch', '', REDIS),
];
