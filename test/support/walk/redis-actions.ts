/** What owners, and operators, do on real Redis: one action at a time, chosen by chance. */
import type { Claimed } from '../../../src/core/ports/claims.js';
import type { IntakeHint } from '../../../src/core/ports/intake.js';
import type { OwnerModel } from './owner-model.js';
import type { RedisWalk } from './redis-walk.js';

const PODS = 3;
const WEIGHTS = {
  enter: 22,
  look: 8,
  start: 26,
  end: 26,
  beginAnew: 12,
  take: 4,
  release: 6,
  renew: 4,
  lateCall: 6,
  crash: 1,
  lapse: 1.5,
  pause: 0.5,
  resume: 2,
  ripen: 2,
  deleteClaim: 0.5,
};

export class RedisActions {
  private isCalm = false;

  constructor(private readonly walk: RedisWalk) {}

  async begin(): Promise<void> {
    for (let i = 0; i < PODS; i++) await this.walk.startPod();
  }

  async step(): Promise<void> {
    await this[this.walk.random.weighted(WEIGHTS)]();
    this.walk.check();
  }

  /** A new pod works all that is left. */
  async finish(): Promise<void> {
    const { walk } = this;
    this.isCalm = true;
    for (const podId of [...walk.stores.keys()]) await walk.crash(podId);
    await walk.startPod();
    for (const entity of walk.entities) await walk.cluster.pause(entity, false);
    await this.lapse();
    await this.ripen();
    for (const owner of walk.owners) await this.workToTheEnd(owner);
    walk.check();
  }

  private async workToTheEnd(owner: OwnerModel): Promise<void> {
    const { walk } = this;
    await this.lookWith(owner);
    while (owner.ready.length > 0) {
      await walk.start(owner);
      await this.tell(owner, false);
    }
    if (owner.claim && !(await walk.call(owner, 'release', owner.claim, 'idle')))
      walk.violate(`there is work left that ${owner.podId} did not get`);
    const { wait, active, delayed, failed } = await walk.see(owner.entity);
    if (wait.length + active.length + delayed.length > 0) walk.violate('I5: jobs are left');
    // Failed jobs are kept for a time.
    if (failed.length === 0 && (await walk.cluster.dueScore(owner.entity)) !== undefined)
      walk.violate('I8: a drained entity is due');
  }

  private async enter(): Promise<void> {
    const { walk } = this;
    const { random } = walk;
    const owner = random.pick(walk.owners);
    const { jobOptions } = walk.config.entityType('account');
    const options = {
      ...jobOptions,
      ...(random.chance(0.2) && { jobId: `custom-${random.int(1, 5)}` }),
      ...(random.chance(0.1) && { delay: 1_000_000 }),
      ...(random.chance(0.4) && { attempts: random.int(2, 3) }),
    };
    const job = { entity: owner.entity, name: 'withdraw', data: JSON.stringify({ n: walk.nextJob() }), options };
    const answer = await walk.call(owner, 'add', job, this.hintOf(owner));
    if (!answer || this.loses(owner)) return;
    if (answer.route === 'claimed') owner.claimed(answer.claimed);
    // Jobs that are fetched while a response is missing go back at the resync.
    else if (answer.route === 'local' && !owner.isBroken) owner.fetched(answer.fetched);
    else if (answer.route === 'unknown-claim' && !owner.claim && !owner.running) await this.lookWith(owner);
  }

  private hintOf(owner: OwnerModel): IntakeHint {
    if (owner.claim) return { epoch: owner.claim.epoch, mayClaim: false, atOnce: 1 };
    // No new claim while a handler still runs that has lost its entity.
    if (owner.running || this.walk.random.chance(0.2)) return 'route-only';
    return { epoch: this.walk.nextEpoch(), mayClaim: true, atOnce: 1 };
  }

  private async look(): Promise<void> {
    const owner = this.pick(({ claim, running }) => !claim && !running);
    if (owner) await this.lookWith(owner);
  }

  private async lookWith(owner: OwnerModel): Promise<void> {
    const answer = await this.walk.call(owner, 'tryClaim', owner.entity, this.walk.nextEpoch());
    if (answer && typeof answer !== 'string') this.use(owner, answer);
  }

  private use(owner: OwnerModel, claimed: Claimed): void {
    if (!this.loses(owner)) owner.claimed(claimed);
  }

  private async start(): Promise<void> {
    const owner = this.pick(({ mayStart }) => mayStart);
    if (owner) await this.walk.start(owner);
  }

  private async end(): Promise<void> {
    const owner = this.pick(({ running }) => running !== undefined);
    if (owner) await this.tell(owner, this.walk.random.chance(0.15));
  }

  /** Ends the running handler, and tells the store; or the call is never executed, and the owner knows that it may not be. */
  private async tell(owner: OwnerModel, isDropped: boolean): Promise<void> {
    const { random } = this.walk;
    const backoffMs = this.isCalm || random.chance(0.5) ? 0 : 1_000_000;
    const settlement = this.walk.end(owner, random.chance(0.3) ? 'failed' : 'completed', backoffMs);
    if (!settlement || !owner.claim) return;
    // With a response missing, the end goes with the resync, in one step.
    if (isDropped || owner.isBroken) {
      owner.isBroken = true;
      return;
    }
    const answer = await this.walk.call(owner, 'finish', owner.claim, [settlement], random.int(1, 2));
    if (!answer) owner.lost();
    else if (!this.loses(owner)) owner.confirmed(settlement, answer);
  }

  private async beginAnew(): Promise<void> {
    const owner = this.pick(({ isBroken, running, claim }) => isBroken && !running && claim !== undefined);
    if (!owner?.claim) return;
    const answer = await this.walk.call(owner, 'resync', owner.claim, this.walk.nextEpoch(), [...owner.unconfirmed]);
    if (answer) this.use(owner, answer);
    else owner.lost();
  }

  private async take(): Promise<void> {
    const owner = this.pick(({ claim, isBroken }) => claim !== undefined && !isBroken);
    if (!owner?.claim) return;
    const answer = await this.walk.call(owner, 'take', owner.claim);
    if (!answer) owner.lost();
    else if (!this.loses(owner)) owner.fetched(answer);
  }

  private async release(): Promise<void> {
    const owner = this.pick(({ claim, isBroken, running }) => claim !== undefined && !isBroken && !running);
    if (!owner?.claim) return;
    const isIdle = owner.ready.length === 0 && this.walk.random.chance(0.7);
    const answer = await this.walk.call(owner, 'release', owner.claim, isIdle ? 'idle' : 'hand-over');
    if (answer !== false) owner.lost();
  }

  private async renew(): Promise<void> {
    await this.walk.renew(this.walk.random.pick([...this.walk.stores.keys()]));
  }

  /** A call under a claim that is no longer the current one; the checker sees whether it is refused. */
  private async lateCall(): Promise<void> {
    const { walk } = this;
    const owner = this.pick(({ oldClaims }) => oldClaims.length > 0);
    const claim = owner && walk.random.pick(owner.oldClaims);
    if (!owner || !claim) return;
    const [job] = owner.ready;
    switch (walk.random.pick(['take', 'release', 'hand-over', 'resync', 'tryClaim', 'finish'])) {
      case 'take':
        return void (await walk.call(owner, 'take', claim));
      case 'release':
        return void (await walk.call(owner, 'release', claim, 'idle'));
      case 'hand-over':
        return void (await walk.call(owner, 'release', claim, 'hand-over'));
      case 'resync':
        return void (await walk.call(owner, 'resync', claim, claim.epoch, []));
      case 'tryClaim':
        // Without a claim of its own it would be a claim that the pod knows nothing of; the next inspection adopts it.
        return void (await walk.call(owner, 'tryClaim', owner.entity, claim.epoch));
      default:
        if (job) await walk.call(owner, 'finish', claim, [{ job, outcome: { kind: 'completed', value: '1' } }], 1);
    }
  }

  private async crash(): Promise<void> {
    const podId = this.walk.random.pick([...this.walk.stores.keys()]);
    this.walk.note(podId, 'crashes');
    await this.walk.crash(podId);
    await this.walk.startPod();
  }

  /** Every lease runs out; the pods know it, since time has passed for them too. */
  private async lapse(): Promise<void> {
    this.walk.note('all leases run out');
    await this.walk.cluster.expireLeases();
    for (const owner of this.walk.owners) owner.isLapsed = owner.claim !== undefined;
  }

  private async pause(): Promise<void> {
    const entity = this.walk.random.pick(this.walk.entities);
    this.walk.note('pauses', entity.id);
    await this.walk.cluster.pause(entity, true);
  }

  private async resume(): Promise<void> {
    for (const entity of this.walk.entities) await this.walk.cluster.pause(entity, false);
  }

  private async ripen(): Promise<void> {
    this.walk.note('what is delayed is due');
    for (const entity of this.walk.entities) {
      await this.walk.cluster.ripenDelayed(entity);
      await this.walk.cluster.endHold(entity);
    }
  }

  private async deleteClaim(): Promise<void> {
    const { walk } = this;
    const entity = walk.random.pick(walk.entities);
    const { owner, token } = await walk.see(entity);
    if (!owner) return;
    walk.note('deletes the claim of', entity.id);
    const stint = walk.checker(entity).stints.get(token);
    if (stint) stint.isCut = true;
    await walk.cluster.redis.del(`${walk.cluster.base(entity)}:$:worker`);
  }

  /** The response is lost: the owner does not know what the call has done. */
  private loses(owner: OwnerModel): boolean {
    if (this.isCalm || !this.walk.random.chance(0.06)) return false;
    this.walk.note('the answer is lost');
    owner.isBroken = owner.claim !== undefined;
    return true;
  }

  private pick(isMeant: (owner: OwnerModel) => boolean): OwnerModel | undefined {
    const meant = this.walk.owners.filter(isMeant);
    return meant.length > 0 ? this.walk.random.pick(meant) : undefined;
  }
}
