/** What happens to a cluster: one action at a time, chosen by chance. Most faults end with time; `final-check.ts` ends the rest. */

import { Codecs } from '../../../src/core/payload/codec.js';
import { MemoryControl } from '../../../src/store/memory/operator/control.js';
import { blockerOf } from '../../../src/store/memory/queue.js';
import type { StoredEntity } from '../../../src/store/memory/state.js';
import { LEASE_MS, MAX_BACKOFF_MS, type MemoryCluster } from './memory-cluster.js';
import { numberOf } from './snapshot.js';
import type { WalkPod } from './walk-pod.js';
import { type ActionName, KINDS, METHODS, weightsOf } from './weights.js';

export class Actions {
  readonly weights: Record<ActionName, number>;
  /** An operator, on a pod of its own. */
  private readonly operator: MemoryControl;
  private readonly ids: readonly string[];
  private readonly mostPods: number;

  constructor(private readonly cluster: MemoryCluster) {
    const { random } = cluster;
    this.weights = weightsOf(random);
    this.operator = new MemoryControl(cluster.server, 'operator', new Codecs());
    this.ids = ['1', '2', '3'].slice(0, random.int(1, 3));
    this.mostPods = random.int(2, 5);
  }

  async begin(): Promise<void> {
    for (let i = 0; i < this.mostPods; i++) await this.cluster.start();
  }

  async step(): Promise<void> {
    const name = this.cluster.random.weighted(this.weights);
    await this[name]();
    await this.cluster.settle();
    this.cluster.check();
  }

  private async enqueue(): Promise<void> {
    await this.add(1);
  }

  private async enqueueMany(): Promise<void> {
    await this.add(this.cluster.random.int(2, 6));
  }

  private async add(count: number): Promise<void> {
    const { random, able } = this.cluster;
    if (able.length === 0) return;
    const options = Array.from({ length: count }, () => ({
      ...(random.chance(0.2) && { jobId: `custom-${random.int(1, 6)}` }),
      ...(random.chance(0.15) && { delay: random.int(1, 3000) }),
      ...(random.chance(0.4) && {
        attempts: random.int(2, 3),
        backoff: random.pick([0, 0, 20, 600, MAX_BACKOFF_MS]),
      }),
    }));
    await this.cluster.enqueue(random.pick(able), random.pick(this.ids), options);
  }

  private endHandler(): void {
    const { random, running } = this.cluster;
    const able = running.filter(({ pod }) => pod.isAble);
    if (able.length === 0) return;
    const handler = random.pick(able);
    this.note('ends the handler of', handler.n, 'on', handler.podId);
    if (random.chance(0.2)) handler.ended.fail(new Error('the handler threw'));
    else handler.ended.open();
  }

  private passSomeTime(): Promise<void> {
    const { random, time } = this.cluster;
    return time.advance(random.chance(0.5) ? random.int(1, 30) : random.int(1, 600));
  }

  private passMuchTime(): Promise<void> {
    const { random, time } = this.cluster;
    const ms = random.int(LEASE_MS / 3, 3 * LEASE_MS);
    this.note('time passes:', ms);
    return time.advance(ms);
  }

  /** The next call of a method meets a fault. */
  private trap(): void {
    const { random } = this.cluster;
    const method = random.pick(METHODS);
    const kind = random.pick(KINDS);
    this.onWire(method === 'renew', `trap ${kind} ${method}`, wire => wire.setTrap({ method, kind }));
  }

  private slow(): void {
    const lagMs = this.cluster.random.pick([3, 50, 1000, LEASE_MS]);
    this.onWire(this.cluster.random.chance(0.3), `slow ${lagMs}`, wire => wire.slow(lagMs));
  }

  private hang(): void {
    this.onWire(this.cluster.random.chance(0.3), 'hangs', wire => wire.hang());
  }

  private sever(): void {
    const { random } = this.cluster;
    const downMs = random.chance(0.5) ? 0 : random.int(1, 2 * LEASE_MS);
    this.onWire(random.chance(0.3), `severed for ${downMs}`, wire => wire.sever(downMs, 'some'));
  }

  private onWire(isRenewals: boolean, what: string, run: (wire: WalkPod['commands']) => void): void {
    const pod = this.pickPod();
    if (!pod) return;
    this.note(pod.id, isRenewals ? 'renewals' : 'commands', what);
    run(isRenewals ? pod.renewals : pod.commands);
  }

  private partition(): void {
    const { random } = this.cluster;
    const pod = this.pickPod();
    if (!pod) return;
    const ms = random.int(1, 4 * LEASE_MS);
    const hangs = random.chance(0.5);
    this.note(pod.id, hangs ? 'hangs' : 'is cut off for', ms);
    for (const wire of [pod.commands, pod.renewals]) {
      if (hangs) wire.hang();
      else wire.sever(ms, 'some');
    }
  }

  private mend(): void {
    const pod = this.pickPod();
    if (!pod) return;
    this.note(pod.id, 'is mended');
    pod.mend();
  }

  private freeze(): void {
    const { random, able } = this.cluster;
    if (able.length === 0) return;
    const pod = random.pick(able);
    const suspended = pod.suspends && random.chance(0.5);
    this.note(pod.id, suspended ? 'is suspended' : 'stalls');
    pod.clock.freeze(suspended);
  }

  private async thaw(): Promise<void> {
    const { random, pods } = this.cluster;
    const frozen = pods.filter(pod => pod.clock.frozen);
    if (frozen.length === 0) return;
    const pod = random.pick(frozen);
    this.note(pod.id, 'goes on');
    await pod.thaw(random.chance(0.5), () => this.cluster.settle());
  }

  private crash(): void {
    const pod = this.pickPod();
    if (!pod) return;
    this.note(pod.id, 'crashes');
    this.cluster.crash(pod);
  }

  private async startPod(): Promise<void> {
    if (this.cluster.live.length < this.mostPods) await this.cluster.start();
  }

  private drain(): void {
    const { random } = this.cluster;
    const live = this.cluster.live.filter(pod => pod.isAble);
    if (live.length === 0) return;
    const pod = random.pick(live);
    const closes = random.chance(0.7);
    this.note(pod.id, closes ? 'closes' : 'drains');
    // Its last calls are never sent again.
    if (random.chance(0.4))
      pod.commands.setTrap({ method: random.pick(['finish', 'release']), kind: random.pick(KINDS) });
    pod.state = 'draining';
    void (closes ? pod.engine.close() : pod.engine.drain());
  }

  private pause(): void {
    const id = this.cluster.random.pick(this.ids);
    this.note('pauses', id);
    void this.operator.pause({ type: 'account', id }, true);
  }

  private resume(): void {
    const paused = [...this.cluster.server.entities].find(([, entity]) => entity.paused);
    if (!paused) return;
    this.note('resumes', paused[0]);
    void this.operator.pause(paused[1].ref, false);
  }

  private unblock(): void {
    const { random, server } = this.cluster;
    const blocked = [...server.entities.values()].filter(entity => blockerOf(entity, server.now()));
    if (blocked.length > 0) this.cluster.unblock(random.pick(blocked), random.pick(['retry', 'skip', 'drop']));
  }

  private jumpWall(): void {
    const { random, time } = this.cluster;
    const ms = random.int(1, random.chance(0.5) ? 100_000 : LEASE_MS);
    const pod = this.pickPod();
    if (!pod || random.chance(0.2)) {
      time.jumpWall(random.chance(0.5) ? ms : -ms);
      return;
    }
    const by = pod.suspends || random.chance(0.5) ? ms : -ms;
    this.note(pod.id, 'has its wall clock set by', by);
    pod.clock.jumpWall(by);
  }

  private deleteClaim(): void {
    const owned = [...this.cluster.server.entities].filter(([, { owner }]) => owner !== undefined);
    if (owned.length === 0) return;
    const [word, entity] = this.cluster.random.pick(owned);
    this.note('deletes the claim of', word);
    const stint = this.cluster.checker(word).stints.get(entity.token);
    if (stint) stint.isCut = true;
    entity.owner = undefined;
  }

  private removeJob(): void {
    const entities = [...this.cluster.server.entities].filter(([, { wait }]) => wait.length > 0);
    if (entities.length === 0) return;
    const [word, entity] = this.cluster.random.pick<[string, StoredEntity]>(entities);
    const job = this.cluster.random.pick(entity.wait);
    this.note('removes job', numberOf(job));
    entity.wait = entity.wait.filter(other => other !== job);
    this.cluster.checker(word).remove(numberOf(job));
  }

  private pickPod(): WalkPod | undefined {
    const { pods, random } = this.cluster;
    const present = pods.filter(pod => pod.state !== 'dead');
    return present.length > 0 ? random.pick(present) : undefined;
  }

  private note(...what: unknown[]): void {
    this.cluster.note('*', ...what);
  }
}
