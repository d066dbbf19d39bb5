/**
 * The store as one pod of a walk has it: every call goes over a wire. Commands have one, renewals another, as with Redis;
 * wake-ups are hints and may be lost at any moment.
 */

import type { Claim } from '../../../src/core/model/claim.js';
import type { EntityRef } from '../../../src/core/model/entity.js';
import { entityKey } from '../../../src/core/model/entity.js';
import type { NewJob, Settlement } from '../../../src/core/model/job.js';
import { StoreUnavailableError } from '../../../src/core/model/store-errors.js';
import type { Claimed, Passed, PodState, Renewal, Renewed } from '../../../src/core/ports/claims.js';
import type { Clock } from '../../../src/core/ports/clock.js';
import type { IntakeResult } from '../../../src/core/ports/intake.js';
import type { EntityStore } from '../../../src/core/ports/store.js';
import type { Discovered } from '../../../src/core/ports/wake-ups.js';
import type { Fetched } from '../../../src/core/ports/work.js';
import { type Moment, momentOf } from '../../../src/core/run/lease.js';
import type { Random } from '../random.js';
import type { Grant } from './starts.js';
import type { Wire } from './wire.js';

export interface WalkStoreParts {
  readonly real: EntityStore;
  readonly commands: Wire;
  readonly renewals: Wire;
  readonly clock: Clock;
  readonly random: Random;
  nowMs(): number;
  /** Lets something happen on the pod, once its event loop runs; never, when the pod is dead. */
  tell(what: () => void): void;
  /** The pod ends a job. */
  ending(claim: Claim, settlement: Settlement): void;
}

export class WalkStore implements EntityStore {
  /** By entity, what the pod knows of its claims. */
  readonly grants = new Map<string, Grant>();
  /** By entity and epoch. */
  private readonly claims = new Map<string, Claim>();
  private readonly told = new WeakSet<Settlement>();

  constructor(private readonly parts: WalkStoreParts) {}

  get control() {
    return this.parts.real.control;
  }

  get deadLetters() {
    return this.parts.real.deadLetters;
  }

  get replies() {
    return this.parts.real.replies;
  }

  get hosts() {
    return this.parts.real.hosts;
  }

  get schedules() {
    return this.parts.real.schedules;
  }

  async start(): Promise<void> {}

  queueName(entity: EntityRef): string {
    return this.parts.real.queueName(entity);
  }

  add(...args: Parameters<EntityStore['add']>): Promise<IntakeResult> {
    return this.send('add', args, (answer: IntakeResult, sentAt) => {
      if (answer.route === 'claimed') this.granted(answer.claimed.claim, sentAt);
      if (answer.route !== 'local' || !answer.fetched.isReactivated) return;
      const [{ entity }, hint] = args;
      const claim = this.claims.get(`${entityKey(entity)} ${hint === 'route-only' ? 0 : hint.epoch}`);
      if (claim) this.granted(claim, sentAt);
    });
  }

  addAll(): never {
    throw new Error('no walk enters in bulk');
  }

  addFlow(): never {
    throw new Error('no walk enters in bulk');
  }

  tryClaim(...args: Parameters<EntityStore['tryClaim']>): Promise<Claimed | Passed> {
    return this.send('tryClaim', args, (answer: Claimed | Passed, sentAt) => {
      if (typeof answer !== 'string') this.granted(answer.claim, sentAt);
    });
  }

  peek(...args: Parameters<EntityStore['peek']>) {
    return this.send('peek', args) as ReturnType<EntityStore['peek']>;
  }

  resync(...args: Parameters<EntityStore['resync']>): Promise<Claimed> {
    const [claim, , settled] = args;
    for (const settlement of settled) this.ending(claim, settlement);
    return this.send('resync', args, (answer: Claimed, sentAt) => this.granted(answer.claim, sentAt));
  }

  take(...args: Parameters<EntityStore['take']>): Promise<Fetched> {
    return this.send('take', args, ({ isReactivated }: Fetched, sentAt) => {
      if (isReactivated) this.granted(args[0], sentAt);
    });
  }

  finish(claim: Claim, settlements: readonly Settlement[], take: number) {
    for (const settlement of settlements) this.ending(claim, settlement);
    return this.send('finish', [claim, settlements, take]) as ReturnType<EntityStore['finish']>;
  }

  /** Once, with the first call that carries it. */
  private ending(claim: Claim, settlement: Settlement): void {
    if (this.told.has(settlement)) return;
    this.told.add(settlement);
    this.parts.ending(claim, settlement);
  }

  giveBack(...args: Parameters<EntityStore['giveBack']>): Promise<void> {
    return this.send('giveBack', args);
  }

  release(...args: Parameters<EntityStore['release']>): Promise<boolean> {
    return this.send('release', args);
  }

  defer(...args: Parameters<EntityStore['defer']>): Promise<boolean> {
    return this.send('defer', args);
  }

  renew(renewals: readonly Renewal[], pod: PodState): Promise<Renewed> {
    const heard = ({ lost }: Renewed, sentAt: Moment) => {
      for (const [at, { claim }] of renewals.entries()) if (!lost.includes(at)) this.granted(claim, sentAt);
    };
    return this.send('renew', [renewals, pod], heard, this.parts.renewals);
  }

  due(...args: Parameters<EntityStore['due']>): Promise<EntityRef[]> {
    return this.send('due', args);
  }

  async wakeUps(types: readonly string[]): Promise<EntityRef[]> {
    const { real, renewals, tell, random } = this.parts;
    if (renewals.isDown) throw new StoreUnavailableError('not connected');
    const entities = await real.wakeUps(types);
    await new Promise<void>(resolve => tell(resolve));
    if (renewals.isDown) throw new StoreUnavailableError('the connection broke');
    return random.chance(0.1) ? [] : entities;
  }

  requestWorker(...args: Parameters<EntityStore['requestWorker']>): Promise<void> {
    return this.send('requestWorker', args);
  }

  backlogs(...args: Parameters<EntityStore['backlogs']>): Promise<number[]> {
    return this.send('backlogs', args);
  }

  leftovers(...args: Parameters<EntityStore['leftovers']>): Promise<boolean> {
    return this.send('leftovers', args);
  }

  discover(...args: Parameters<EntityStore['discover']>): Promise<Discovered> {
    return this.send('discover', args);
  }

  isSilentFor(ms: number): boolean {
    return this.parts.commands.isSilentFor(ms);
  }

  linger(): void {}

  async close(): Promise<void> {
    this.parts.commands.close();
    this.parts.renewals.close();
    await this.parts.real.close();
  }

  private granted(claim: Claim, sentAt: Moment): void {
    this.claims.set(`${entityKey(claim.entity)} ${claim.epoch}`, claim);
    const token = Number(claim.token);
    const key = `${entityKey(claim.entity)} ${token}`;
    const known = this.grants.get(key);
    if (!known || known.sentAt.monotonicMs <= sentAt.monotonicMs) this.grants.set(key, { token, sentAt });
  }

  private send<T>(
    method: string,
    args: readonly unknown[],
    heard?: (answer: T, sentAt: Moment) => void,
    wire = this.parts.commands,
  ): Promise<T> {
    const { tell, clock, nowMs } = this.parts;
    const sentAt = momentOf(clock);
    return new Promise<T>((resolve, reject) =>
      wire.call({
        method,
        args,
        sentAt,
        madeAtMs: nowMs(),
        resolve: answer =>
          tell(() => {
            heard?.(answer as T, sentAt);
            resolve(answer as T);
          }),
        reject: error => tell(() => reject(error)),
      }),
    );
  }
}

/** The entity that a call concerns, if it concerns one. */
export function entityOf({ method, args }: { method: string; args: readonly unknown[] }): EntityRef | undefined {
  const [first] = args;
  if (method === 'add') return (first as NewJob).entity;
  if (method === 'tryClaim' || method === 'peek') return first as EntityRef;
  if (['due', 'renew', 'requestWorker', 'backlogs', 'discover', 'leftovers'].includes(method)) return undefined;
  return (first as Claim).entity;
}
