/**
 * The store of jobs and claims: one port of several roles, since they share atomic steps. `store/redis` and `store/memory` implement it.
 */
import type { EntityRef } from '../model/entity.js';
import type { Claims } from './claims.js';
import type { Hosts } from './hosts.js';
import type { Intake } from './intake.js';
import type { DeadLetters, EntityControl, Schedules } from './operator.js';
import type { Replies } from './replies.js';
import type { WakeUps } from './wake-ups.js';
import type { Work } from './work.js';

/**
 * Every method is one atomic step of the store. Calls take effect in the order they are made, and the promises they return settle in
 * that order. A guarded call (one that takes a `Claim`) rejects with `StaleClaimError` and changes nothing if the claim is no
 * longer the current one, whatever its lease says.
 */
export interface EntityStore extends Intake, Claims, Work, WakeUps {
  /** Resolves once the store is connected (calls made before wait for that, with a deadline). Rejects on wrong credentials. `onUnreachable` is told of each attempt that failed and is repeated. */
  start(onUnreachable?: (reason: string) => void): Promise<void>;
  /** Name of the entity's BullMQ queue. */
  queueName(entity: EntityRef): string;
  /** What an operator does to one entity. */
  readonly control: EntityControl;
  readonly deadLetters: DeadLetters;
  readonly schedules: Schedules;
  readonly replies: Replies;
  /** Which types live pods work. */
  readonly hosts: Hosts;
  /** True when answers are owed on the command connection and none at all has come for `ms`. */
  isSilentFor(ms: number): boolean;
  /**
   * Handlers have not ended in time: what they still ask for is answered, and their claims are renewed, but from now on the store
   * keeps the process alive only while an answer is owed. Neither wake-ups nor answers come any more.
   */
  linger(): void;
  close(): Promise<void>;
}
