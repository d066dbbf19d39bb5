/** Log lines about a command that Redis refuses. `integration/restricted-user.test.ts` has a real user without rights. */
import { Rights, remedyOf } from '../../../../../src/store/redis/connection/rights.js';
import { RecordingLog } from '../../../../support/log.js';

const DENIED = "NOPERM this user has no permissions to run the 'xread' command";

describe('a command that Redis refuses', () => {
  let log: RecordingLog;
  let rights: Rights;
  beforeEach(() => {
    log = new RecordingLog();
    rights = new Rights(log, 'shop');
  });
  const refuse = (message: string) =>
    expect(rights.heed('XREAD', Promise.reject(new Error(message)))).rejects.toThrow(message);
  const refused = expect.stringMatching(/^warn Redis refuses XREAD \(NOPERM.*\+xread on ~shop:\*/);

  test('is logged once, until Redis runs it, and then once more', async () => {
    for (let times = 0; times < 3; times++) await refuse(DENIED);
    expect(log.lines).toEqual([refused]);
    for (let times = 0; times < 3; times++) expect(await rights.heed('XREAD', Promise.resolve(7))).toBe(7);
    await refuse(DENIED);
    expect(log.lines).toEqual([refused, 'info Redis runs XREAD again.', refused]);
  });

  test('is logged for each command', async () => {
    await refuse(DENIED);
    await expect(rights.heed('XDEL', Promise.reject(new Error(DENIED)))).rejects.toThrow();
    expect(log.lines).toHaveLength(2);
  });

  test.each([
    'LOADING Redis is loading',
    'READONLY You cannot write',
    'UNBLOCKED force unblock',
    'Connection is closed.',
  ])('is not logged if the refusal is temporary: %s', async message => {
    await refuse(message);
    expect(log.lines).toEqual([]);
  });

  test.each(['WRONGTYPE Operation against a key', "ERR unknown command 'XREAD'"])(
    'is logged without a hint about rights if none is missing: %s',
    async message => {
      await refuse(message);
      expect(log.lines).toEqual([expect.stringContaining(message)]);
      expect(log.lines[0]).not.toContain('ACL');
    },
  );
});

test.each([
  [DENIED, true],
  ["ERR ACL failure in script: User worker has no permissions to run the 'zadd' command", true],
  ["ERR The user executing the script can't run this command or subcommand", true],
  ['OOM command not allowed', false],
])('the remedy for "%s" is to grant rights: %s', (message, isDenied) => {
  expect(remedyOf(message).includes('docs/operating.md')).toBe(isDenied);
});
