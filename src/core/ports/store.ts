/**
 * The store of jobs and claims: one port of several roles, since they share atomic steps.
 * Neighbours: `store/redis` and `store/memory` implement each role in a file of its own. A file of the core takes the roles that it needs.
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
 * Every method begins with one atomic step of the store; most are that step alone. Calls take effect in the order in which they are made, and their promises settle in
 * that order. A guarded call takes a `Claim`. It rejects with `StaleClaimError` and changes nothing if the claim is no longer the
 * current one; the guard ignores the lease.
 */
export interface EntityStore extends Intake, Claims, Work, WakeUps {
  /**
   * Resolves once the store is connected. Calls that are made before wait for that, with a deadline. Rejects on wrong credentials.
   * @param onUnreachable is told of each attempt that failed and is repeated.
   */
  start(onUnreachable?: (reason: string) => void): Promise<void>;
  /** Name of the entity's BullMQ queue. */
  queueName(entity: EntityRef): string;
  /** What the operator does to one entity. */
  readonly control: EntityControl;
  readonly deadLetters: DeadLetters;
  readonly schedules: Schedules;
  readonly replies: Replies;
  /** Which types live pods work. */
  readonly hosts: Hosts;
  /** Whether responses are pending on the command connection and none has come for `ms`. */
  isSilentFor(ms: number): boolean;
  /**
   * Handlers have not ended in time. Their calls are still served and their claims renewed, but from now on the store keeps the process
   * alive only while a response is pending. Wake-ups and replies no longer arrive.
   */
  linger(): void;
  close(): Promise<void>;
}
