/** What happens to a mixed cluster, one action at a time; and its end, when all faults have ended and every job must run. */
import type { Unblocking } from '../../../src/core/ports/operator.js';
import { IDS, LEASE_MS, MAX_BACKOFF_MS, type MixedCluster } from './mixed-cluster.js';
import type { MixedPod } from './mixed-pod.js';
import type { Trap } from './wire.js';

const MAX_PODS = 4;
const METHODS = ['add', 'tryClaim', 'resync', 'take', 'finish', 'finish', 'release', 'giveBack', 'defer'];
const KINDS: readonly Trap['kind'][] = ['drop', 'lose', 'late', 'hold', 'refuse'];
const GENTLE = {
  add: 30,
  endHandler: 18,
  passTime: 14,
  passMuchTime: 3,
  trap: 9,
  slow: 2,
  mend: 2,
  operate: 7,
};
const ROUGH = {
  ...GENTLE,
  sever: 4,
  partition: 1.5,
  freeze: 2,
  thaw: 4,
  crash: 0.7,
  startPod: 1.5,
  drain: 0.8,
};
/** Rounds of the end of a walk; from the middle on handlers return at once. */
const CALM_ROUNDS = 40;

type Action = keyof typeof ROUGH;

export class MixedActions {
  constructor(private readonly cluster: MixedCluster) {}

  async step(): Promise<void> {
    const { random, isGentle } = this.cluster;
    const name: Action = isGentle ? random.weighted(GENTLE) : random.weighted(ROUGH);
    await this[name]();
    await this.cluster.settle();
    this.cluster.check();
  }

  private async add(): Promise<void> {
    const { random, pods, hasReads } = this.cluster;
    const able = pods.filter(pod => pod.isAble);
    if (able.length === 0) return;
    const pod = random.pick(able);
    const entityId = random.pick(IDS);
    for (let left = random.chance(0.7) ? 1 : random.int(2, 7); left > 0; left--) {
      const names = ['write', 'write', 'batch', ...(hasReads ? ['read', 'read'] : [])];
      const name = random.chance(0.02) ? 'new' : random.pick(names);
      await this.cluster.add(pod, entityId, name, random.pick([0, 0, 300, MAX_BACKOFF_MS]));
    }
  }

  private endHandler(): void {
    const { random, running } = this.cluster;
    const able = running.filter(({ pod }) => pod.isAble);
    if (able.length === 0) return;
    const { ended } = random.pick(able);
    if (random.chance(0.15)) ended.fail(new Error('the handler threw'));
    else ended.open();
  }

  private passTime(): Promise<void> {
    const { random, time } = this.cluster;
    return time.advance(random.chance(0.5) ? random.int(1, 30) : random.int(1, 600));
  }

  private passMuchTime(): Promise<void> {
    const { random, time } = this.cluster;
    return time.advance(random.int(LEASE_MS / 3, 3 * LEASE_MS));
  }

  /** The next call of a method meets a fault. */
  private trap(): void {
    const { random, isGentle } = this.cluster;
    const kind = random.pick(KINDS);
    if (!isGentle && random.chance(0.1))
      this.onPod('trap renew', pod => pod.renewals.setTrap({ method: 'renew', kind }));
    else this.trapCommand(random.pick(METHODS), kind);
  }

  private trapCommand(method: string, kind: Trap['kind']): void {
    this.onPod(`trap ${kind} ${method}`, pod => pod.commands.setTrap({ method, kind }));
  }

  private slow(): void {
    const lagMs = this.cluster.random.pick([3, 50, 1000]);
    this.onPod(`slow ${lagMs}`, pod => pod.commands.slow(lagMs));
  }

  private mend(): void {
    this.onPod('mended', pod => pod.mend());
  }

  private sever(): void {
    const { random } = this.cluster;
    const isRenewals = random.chance(0.3);
    const downMs = random.pick([0, 0, random.int(1, 2 * LEASE_MS)]);
    const hangs = random.chance(0.3);
    this.onPod(`severed ${isRenewals ? 'renewals' : 'commands'} ${hangs ? 'hang' : downMs}`, pod => {
      const wire = isRenewals ? pod.renewals : pod.commands;
      if (hangs) wire.hang();
      else wire.sever(downMs, 'some');
    });
  }

  private partition(): void {
    const ms = this.cluster.random.int(1, 4 * LEASE_MS);
    this.onPod(`cut off for ${ms}`, pod => {
      for (const wire of [pod.commands, pod.renewals]) wire.sever(ms, 'some');
    });
  }

  private freeze(): void {
    this.onPod('frozen', pod => pod.clock.freeze(false));
  }

  private async thaw(): Promise<void> {
    const { random, pods } = this.cluster;
    const frozen = pods.filter(pod => pod.clock.frozen);
    if (frozen.length > 0) await random.pick(frozen).thaw(random.chance(0.5), () => this.cluster.settle());
  }

  private crash(): void {
    this.onPod('crashes', pod => this.cluster.crash(pod));
  }

  private async startPod(): Promise<void> {
    if (this.cluster.pods.length < MAX_PODS) await this.cluster.start();
  }

  private drain(): void {
    const { random } = this.cluster;
    this.onPod('drains', pod => {
      if (pod.state !== 'live' || !pod.isAble) return;
      if (random.chance(0.4))
        pod.commands.setTrap({ method: random.pick(['finish', 'release']), kind: random.pick(KINDS) });
      pod.state = 'draining';
      void (random.chance(0.7) ? pod.engine.close() : pod.engine.drain());
    });
  }

  /** An operator acts on an entity: most of it recalls jobs from the owner. */
  private operate(): void {
    const { random } = this.cluster;
    const ref = { type: 'account', id: random.pick(IDS) };
    const what = random.weighted({ pause: 1, resume: 3, recall: 1, unblock: 2, drop: 0.4, request: 1 });
    this.onPod(`operator: ${what} ${ref.id}`, ({ real }) => {
      if (what === 'pause' || what === 'recall') void real.control.pause(ref, true);
      if (what === 'resume' || what === 'recall') void real.control.pause(ref, false);
      if (what === 'unblock') void real.control.unblock(ref, random.pick<Unblocking>(['retry', 'skip', 'drop']));
      if (what === 'drop') void real.control.drop(ref);
      if (what === 'request') void real.requestWorker(ref);
    });
  }

  private onPod(what: string, run: (pod: MixedPod) => void): void {
    const { random, pods } = this.cluster;
    if (pods.length === 0) return;
    const pod = random.pick(pods);
    this.cluster.note('*', pod.id, what);
    run(pod);
  }
}

/** All faults end: every job runs to its end, no claim is left, and every pod closes (I5, I7, I8). */
export async function calm(cluster: MixedCluster): Promise<void> {
  cluster.note('* all is healed');
  for (const pod of cluster.pods) {
    if (pod.clock.frozen) await pod.thaw(true, () => cluster.settle());
    pod.mend();
    await cluster.settle();
  }
  const { real } = await cluster.start(true);
  for (let round = 0; round < CALM_ROUNDS && (round < CALM_ROUNDS / 4 || left(cluster) > 0); round++) {
    cluster.instant = round >= CALM_ROUNDS / 4;
    for (const id of IDS) {
      await real.control.pause({ type: 'account', id }, false);
      await real.control.unblock({ type: 'account', id }, 'skip');
    }
    for (const { signal, ended } of [...cluster.running]) if (cluster.instant || signal.aborted) ended.open();
    await cluster.time.advance(LEASE_MS / 2);
    cluster.check();
  }
  if (left(cluster) > 0) cluster.violate(`I7: ${left(cluster)} jobs have not run`);
  // A dormant claim of a dead pod lasts for ten leases.
  await cluster.time.advance(12 * LEASE_MS);
  for (const { ref, owner } of cluster.server.entities.values()) {
    if (owner) cluster.violate(`I8: ${ref.id} is still owned by ${owner.podId}`);
  }
  let closed = 0;
  for (const pod of cluster.pods) void pod.engine.close().then(() => closed++);
  await cluster.settle();
  await cluster.time.advance(40 * LEASE_MS);
  if (closed < cluster.pods.length) cluster.violate('a pod without work does not close');
  for (const { id, clock } of cluster.pods) if (clock.pending > 0) cluster.violate(`${id} has ${clock.pending} timers`);
  cluster.check();
}

function left({ server }: MixedCluster): number {
  return [...server.entities.values()].reduce(
    (sum, { wait, active, delayed }) => sum + wait.length + active.length + delayed.length,
    0,
  );
}
