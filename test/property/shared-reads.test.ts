/**
 * In any order of events, reads run alongside reads only, after all earlier writes, each write after all earlier jobs,
 * and a job that has ended does not run again (I5, I6, race 28). Random sequences of enqueues on two pods, ends, failures, lost
 * responses, and pauses. `WALKS=n` makes more; `SEED=n` repeats one.
 */
import type { OnExhausted } from '../../src/core/options/options.js';
import { settle } from '../support/clock.js';
import { type Fault } from '../support/faulty-store.js';
import { MemoryPods, type Pod } from '../support/memory-pods.js';
import { Random } from '../support/random.js';
import { lengthOf } from '../support/test-length.js';

const ENTITY = { type: 'account', id: '1' };
const STEPS = 160;
const ATTEMPTS = 2;
const FAULTS: readonly Fault[] = ['lose', 'drop', 'refuse'];

interface Known {
  readonly isRead: boolean;
  returned: number;
  failed: number;
}

class Walk {
  private readonly random: Random;
  private readonly cluster = new MemoryPods();
  private readonly jobs: Known[] = [];
  private seen = 0;
  private pods: Pod[] = [];
  private most = 0;

  constructor(
    readonly seed: number,
    private readonly onExhausted: OnExhausted,
  ) {
    this.random = new Random(seed);
    this.cluster.instant = false;
    this.cluster.shared = ['read'];
    this.cluster.mostReads = 4;
  }

  async run(): Promise<number> {
    const account = { maxSharedReads: 4, onExhausted: this.onExhausted };
    const options = { entities: { account }, defaultJobOptions: { attempts: ATTEMPTS } };
    this.pods = [
      await this.cluster.pod('A', options, ['*', 'read']),
      await this.cluster.pod('B', options, ['*', 'read']),
    ];
    for (let i = 0; i < STEPS; i++) {
      await this.step();
      this.check();
    }
    await this.drain();
    await this.cluster.close();
    const overlaps = this.pods.flatMap(({ log }) => log.lines.filter(line => line.includes('overlaps')));
    expect(overlaps).toEqual([]);
    return this.most;
  }

  private async step(): Promise<void> {
    const { random, cluster } = this;
    const what = random.weighted({ add: 10, end: 9, fail: 2, fault: 1, pass: 2, pause: 1, resume: 2, burst: 1 });
    if (what === 'add') await this.add(1);
    else if (what === 'burst') await this.add(8);
    else if (what === 'pass') await cluster.clock.advance(random.pick([10, 400, 1500]));
    else if (what === 'fault') random.pick(this.pods).store.next(random.pick(['finish', 'take']), random.pick(FAULTS));
    else if (what === 'pause' || what === 'resume') {
      await random.pick(this.pods).engine.control.pause(ENTITY, what === 'pause');
      await settle();
    } else if (cluster.running.length > 0) await this.settleOne(what);
  }

  private async add(count: number): Promise<void> {
    const { random } = this;
    const pod = random.pick(this.pods);
    const added = Array.from({ length: count }, () => {
      const n = this.jobs.length;
      const isRead = random.chance(0.7);
      this.jobs.push({ isRead, returned: 0, failed: 0 });
      const options = { backoff: { type: 'fixed', delay: random.pick([0, 300, 2500]) } };
      return pod.engine.enqueue({
        entityType: 'account',
        entityId: '1',
        name: isRead ? 'read' : 'write',
        data: { n },
        options,
      });
    });
    await Promise.all(added);
    await settle();
  }

  private async settleOne(how: 'end' | 'fail'): Promise<void> {
    const running = this.random.pick(this.cluster.running);
    const job = this.job(running.n);
    if (how === 'end') job.returned++;
    else job.failed++;
    await (how === 'end' ? running.end() : running.fail());
  }

  private job(n: number): Known {
    const job = this.jobs[n];
    if (!job) throw new Error(`there is no job ${n}`);
    return job;
  }

  private isThrough({ returned, failed }: Known): boolean {
    return returned > 0 || failed >= ATTEMPTS;
  }

  /** Checks each start since the last check: which jobs had to finish before it, and that it had not finished itself. */
  private check(): void {
    const starts = this.cluster.starts.slice(this.seen);
    this.seen = this.cluster.starts.length;
    this.most = Math.max(this.most, this.cluster.running.length);
    for (const start of starts) {
      const n = Number(start.split(':')[2]);
      const before = this.jobs.slice(0, n).filter(job => !job.isRead || !this.job(n).isRead);
      const left = before.findIndex(job => !this.isThrough(job));
      const context = { seed: this.seed, start, starts: this.cluster.starts.join(' ') };
      expect({ ...context, left, isThrough: this.isThrough(this.job(n)) }).toEqual({
        ...context,
        left: -1,
        isThrough: false,
      });
    }
  }

  private async drain(): Promise<void> {
    const control = this.pods[0]?.engine.control;
    for (let i = 0; i < 4 * this.jobs.length + 40; i++) {
      await control?.pause(ENTITY, false);
      await this.cluster.clock.advance(500);
      this.check();
      if (this.cluster.running.length > 0) await this.settleOne('end');
      else await control?.unblock(ENTITY, 'skip');
      this.check();
    }
    const lost = this.jobs.flatMap((job, n) => (this.isThrough(job) ? [] : [n]));
    expect({ seed: this.seed, lost }).toEqual({ seed: this.seed, lost: [] });
  }
}

describe('shared reads in random order', () => {
  const seed = process.env['SEED'];
  const first = Number(seed ?? Date.now() % 1_000_000);
  const walks = seed === undefined ? lengthOf('WALKS', 6, 12) : 1;

  test.each<OnExhausted>(['skip', 'block'])(`%s (seeds from ${first} on)`, async onExhausted => {
    let most = 0;
    for (let i = 0; i < walks; i++) most = Math.max(most, await new Walk(first + i, onExhausted).run());
    expect(most).toBe(seed === undefined ? 4 : most);
  });
});
