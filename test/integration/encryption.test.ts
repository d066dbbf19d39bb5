/** The cipher of docs/payloads.md, run as it stands there, on real Redis: nothing readable is stored or logged, and keys are rotated. */
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import type { PayloadCodec } from '../../src/index.js';
import { codeBlocks, writeBlocks } from '../support/doc-code.js';
import { audit, PayloadApps, seen } from '../support/payload-apps.js';
import { eventually } from '../support/wait.js';

interface CipherOfTheDoc {
  encryption(keys: readonly (readonly [string, Buffer])[]): { codec: PayloadCodec; readCodecs: PayloadCodec[] };
}

const OLD = ['old', randomBytes(32)] as const;
const NEW = ['new', randomBytes(32)] as const;

describe('the cipher of the docs', () => {
  let apps: PayloadApps;
  let encryption: CipherOfTheDoc['encryption'];

  beforeAll(async () => {
    const files = writeBlocks('docs/payloads.md', 'build/payloads-test');
    const index = codeBlocks('docs/payloads.md', 'ts').findIndex(code => code.includes('export function encryption'));
    const block: CipherOfTheDoc = await import(
      resolve(files[index] ?? 'no block of docs/payloads.md has encryption()')
    );
    encryption = block.encryption;
  });
  beforeEach(() => {
    apps = new PayloadApps();
  });
  afterEach(() => apps.close());

  test('leaves nothing readable in Redis or in the log; a key is rotated', async () => {
    const kept = { removeOnComplete: false };
    const producer = await apps.start(encryption([OLD]), []);
    await producer.bus.enqueueJob(audit({ card: 'hunter2' }), kept);
    const rotated = await apps.start(encryption([NEW, OLD]), []);
    await rotated.bus.enqueueJob(audit({ card: 'hunter2' }), kept);
    const waiting = async ({ queue }: typeof producer) => (await queue.list('waiting')).map(({ data }) => data);
    expect(await waiting(rotated)).toEqual([{ card: 'hunter2' }, { card: 'hunter2' }]);
    // One with the old key alone sees what it can't read as it is stored.
    expect(await waiting(producer)).toEqual([{ card: 'hunter2' }, expect.any(String)]);
    const { queue } = await apps.start(encryption([NEW, OLD]));
    await queue.drain();
    expect(seen).toEqual([{ card: 'hunter2' }, { card: 'hunter2' }]);
    const everything = `${await apps.hashes()}\n${apps.logs.join('\n')}`;
    expect(everything).toContain('encrypted:old');
    expect(everything).toContain('encrypted:new');
    expect(everything).not.toContain('hunter2');
  });

  test('refuses a payload that was changed, or encrypted with another key of the same name, and does not show it', async () => {
    const producer = await apps.start(encryption([OLD]), []);
    const { jobId } = await producer.bus.enqueueJob(audit({ card: 'hunter2' }), { attempts: 3 });
    const stranger = await apps.start(encryption([['old', randomBytes(32)]]), []);
    await stranger.bus.enqueueJob(audit({ card: 'hunter2' }), { attempts: 3 });
    await apps.redis.hset(apps.key(jobId), 'data', '"hunter2"');
    const { queue } = await apps.start(encryption([OLD]));
    await eventually('both have failed', async () => (await queue.status()).failed === 2);
    for (const { failedReason, attemptsMade } of await queue.list('failed')) {
      expect(failedReason).toMatch(/^The codec "encrypted:old" can't read the payload \((Type)?Error(, ERR_\w+)?\)\.$/);
      expect(attemptsMade).toBe(1);
    }
    expect(seen).toEqual([]);
    expect(apps.logs.join('\n')).not.toContain('hunter2');
  });
});
